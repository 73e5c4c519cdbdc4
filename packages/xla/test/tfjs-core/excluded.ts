/** Specs that do not apply to this backend, by reason. A spec is left out when its full name contains one of the texts. */
export const excluded: Record<string, string[]> = {};

export function isExcluded(name: string): boolean {
  return Object.values(excluded).some((texts) => texts.some((text) => name.includes(text)));
}
