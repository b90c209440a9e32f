/** Rows under their titles in columns of equal width, a line each. */
export const textTable = (titles: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return lines.map((cells) => `${lineOf(cells)}\n`).join('');
};

/** A time as the API gives it, to the second. */
export const moment = (value: unknown): string =>
  typeof value === 'number' && Math.abs(value) < 8.64e15 ? new Date(value).toISOString().replace(/\.\d+Z$/, 'Z') : '-';
