// Texts that others have made, before they go to the page. The page sets them as text: nothing in them is markup.
const LONGEST = 120

/** At most so long that a row stays a row. */
export function shortened(text: string | undefined): string {
  if (text === undefined) return ''
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
}
