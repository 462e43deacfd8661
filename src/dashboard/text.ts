// Shortens texts of others before they are sent to the page, which shows them as text and never as
// markup.
const LONGEST = 120

/** At most so long that a row keeps its height. */
export function shortened(text: string | undefined): string {
  if (text === undefined) return ''
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
}
