// Texts that have broken encoders of event streams.

/** What an attacker would want a client to see. */
export const FORGED = 'FORGED'

/** Line ends that the standard knows, those that it does not know, and what ends strings elsewhere. */
const BREAKS = ['\n', '\r', '\r\n', '\n\r', '\n\n', '\r\r', '\0', '\v', '\f', '\x85', '\u2028']

/** After each break: a field, an event, a comment, a beginning of a stream. */
const PAYLOADS = [`data: ${FORGED}`, `data:${FORGED}\n\n`, `event: ${FORGED}`, `id: ${FORGED}`]

/** Every one is to come out as it went in, with the line ends of the standard as LF, or to be refused. */
export const HOSTILE: readonly string[] = [
  '',
  ' ',
  '  two spaces',
  '\ttab',
  ':',
  ': comment',
  'data: x',
  'data',
  'id: 5',
  'retry: 1',
  '\uFEFF',
  `\uFEFFdata: ${FORGED}`,
  '\uD800',
  'a\uDC00b',
  '\uD83D',
  '\uDE00\uD83D',
  '😀 ❤️ \u{10FFFF}',
  '\x01\x7F\x80\x9F',
  '\\n\\ndata: x',
  `%0A%0Adata: ${FORGED}`,
  '__proto__',
  'message',
  'open',
  'error',
  '0'.repeat(100_000),
  'é'.repeat(70_000),
  'line\n'.repeat(20_000),
  '\n'.repeat(5_000),
  '\r'.repeat(5_000),
  ...BREAKS,
  ...BREAKS.flatMap((end) => PAYLOADS.map((payload) => `innocent${end}${payload}`)),
  ...BREAKS.flatMap((end) => PAYLOADS.map((payload) => `${end}${end}${payload}${end}${end}`)),
]
