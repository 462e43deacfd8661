// For how long this process has not run: its own work, or another process that had the processor.

/** A timer that is later than this, ms, was blocked. It is the monitor's own limit. */
const BLOCKED = 50
const EVERY = 20

/** Starts to measure. `since` sums the times after a moment of `Date.now()`, ms. */
export function measureBlocked(): { since(moment: number): number; stop(): void } {
  const blocked: { readonly at: number; readonly ms: number }[] = []
  let due = Date.now() + EVERY
  const timer = setInterval(() => {
    const now = Date.now()
    if (now - due > BLOCKED) blocked.push({ at: now, ms: now - due })
    due = now + EVERY
  }, EVERY).unref()
  return {
    since: (moment) =>
      blocked.reduce((sum, { at, ms }) => sum + Math.max(0, Math.min(ms, at - moment)), 0),
    stop: () => clearInterval(timer),
  }
}
