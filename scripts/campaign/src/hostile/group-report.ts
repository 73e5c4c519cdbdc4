/** What a group of hostile inputs showed. */
export type GroupReport = { tried: number; faults: string[] };
