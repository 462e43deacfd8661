/**
 * Counts what is pending, up to `most`. Returns `false` if one more would exceed the limit; it is
 * then not counted.
 */
export function limited(most: number): (change: 1 | -1) => boolean {
  let pending = 0
  return (change) => {
    if (change === 1 && pending >= most) return false
    pending += change
    return true
  }
}
