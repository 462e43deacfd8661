/**
 * Tokens that depend only on the prompt and their place in the answer, one every `pace`
 * milliseconds.
 */
export async function* answerTo(prompt, pace) {
  for (let n = 1; n <= 60; n++) {
    await new Promise((resolve) => setTimeout(resolve, pace))
    yield `${prompt}-${n} `
  }
}
