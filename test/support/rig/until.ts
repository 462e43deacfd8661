/** Waiting for a state instead of for a time. */

/** How {@link until} waits. */
export interface UntilOptions {
  /** Default 10 s. */
  readonly timeoutMs?: number
  /** Time between two looks. Default 10 ms. */
  readonly everyMs?: number
  /** Ends the sentence "timed out after … ms waiting for …". */
  readonly what?: string
}

/**
 * Looks again and again until `look` returns something truthy, and returns that. Rejects at the
 * deadline with what was last seen.
 */
export async function until<T>(
  look: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 10, what = 'a condition' }: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (seen) return seen as Exclude<T, false | null | undefined | 0 | ''>
    if (performance.now() > deadline) {
      throw new Error(`timed out after ${timeoutMs} ms waiting for ${what}`)
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
