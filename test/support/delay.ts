/** Lets time pass, to check that something has not happened. To wait for a state, use `waitFor`. */
export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
