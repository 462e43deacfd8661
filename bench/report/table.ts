// Tables in Markdown, and numbers as people read them.

/** A Markdown table. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

/** `1.05 MB`, `17 KB`, `0`: decimal units. */
export function bytes(count: number | undefined): string {
  if (count === undefined || Number.isNaN(count)) return '-'
  if (Math.abs(count) < 1_000) return String(Math.round(count))
  if (Math.abs(count) < 1_000_000) return `${(count / 1_000).toFixed(0)} KB`
  return `${(count / 1_000_000).toFixed(2)} MB`
}

/** `0.31 s`, `12 ms`. */
export function time(ms: number): string {
  return ms >= 1_000 ? `${(ms / 1_000).toFixed(2)} s` : `${Math.round(ms)} ms`
}
