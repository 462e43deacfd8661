/** Tokens that depend on the prompt and their place only, one each `pace` milliseconds. */
export async function* answerTo(prompt, pace) {
  for (let n = 1; n <= 60; n++) {
    await new Promise((resolve) => setTimeout(resolve, pace))
    yield `${prompt}-${n} `
  }
}
