/** What a stream without the option `echo` has to say about echoes. */
export abstract class Mute {
  get lastEcho(): number | undefined {
    return undefined
  }

  get confirmedId(): string | undefined {
    return undefined
  }
}
