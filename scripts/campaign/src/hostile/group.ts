/** Groups of inputs. */
export const groupNames = ['pickles', 'archives', 'images', 'names'] as const;

export type GroupName = (typeof groupNames)[number];

/** What a group of hostile inputs showed. */
export type GroupReport = { tried: number; faults: string[] };
