/** Lets time pass. For what must not have happened meanwhile; for a state that comes there is `waitFor`. */
export function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
