// What a stream asks of a client that answers.

import { TcpSseError } from '../internal/errors.js'
import { boolean, type Checks, checkOptions, duration } from '../internal/validate.js'

/** The option `echo` of a stream. Times in milliseconds. */
export interface EchoOptions {
  /**
   * How long a quiet stream waits before it sends a beat, a comment that the client answers. Where events flow there is no
   * need for one: the client answers whatever comes.
   * @defaultValue 5 000
   */
  beat?: number | undefined
  /**
   * A client whose echo is this long overdue is given up, with reason `no-echo`; one to which nothing has come
   * gives up the stream. Outages shorter than about 60 % of it are survived. At least twice `beat`.
   * @defaultValue four times `beat`
   */
  silence?: number | undefined
  /**
   * Whether the first echo has to come too. Without it a client is held to this only once it has answered, so
   * that those which know no echo live on unwatched.
   * @defaultValue `false`
   */
  required?: boolean | undefined
}

/** The same, with everything filled in. */
export type EchoSettings = Readonly<{ beat: number; silence: number; required: boolean }>

const checks: Checks<EchoOptions> = {
  beat: duration({ min: 100, max: 3_600_000 }),
  silence: duration({ min: 200, max: 14_400_000 }),
  required: boolean,
}

const DEFAULT_BEAT = 5_000
const BEATS_IN_SILENCE = 4

/** @throws {TcpSseError} `ERR_OPTION_*` */
export function checkEcho(value: unknown, name: string): EchoSettings {
  const given = checkOptions<EchoOptions>(value as EchoOptions, checks, name)
  const { beat = DEFAULT_BEAT, required = false } = given
  const { silence = beat * BEATS_IN_SILENCE } = given
  if (silence < 2 * beat) {
    const option = `${name}.silence`
    throw new TcpSseError(
      'ERR_OPTION_VALUE',
      `${option} must be at least twice beat, ${2 * beat} ms.`,
      {
        option,
      },
    )
  }
  return Object.freeze({ beat, silence, required })
}
