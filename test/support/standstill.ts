// Whether this process had the processor when it wanted it, and with it those that it has started.

/** Less than this is in the margin of every bound. */
const NOTABLE = 300
const EVERY = 20

const halts: { readonly at: number; readonly lasted: number }[] = []
let last = performance.now()
setInterval(() => {
  const at = performance.now()
  const lasted = at - last - EVERY
  if (lasted > NOTABLE) halts.push({ at, lasted })
  last = at
}, EVERY).unref()

/** The longest time in ms for which the process stood still since then (`performance.now()`); 0: none that matters. */
export function standstillSince(time: number): number {
  return halts.reduce((most, { at, lasted }) => (at > time ? Math.max(most, lasted) : most), 0)
}
