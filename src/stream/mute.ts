/** The properties about echoes of a stream without the option `echo`. */
export abstract class Mute {
  get lastEcho(): number | undefined {
    return undefined
  }

  get confirmedId(): string | undefined {
    return undefined
  }
}
