// The options of a stream whose client answers.

import { TcpSseError } from '../internal/errors.js'
import { boolean, type Checks, checkOptions, duration } from '../internal/validate.js'

/** The option `echo` of a stream. Times are in milliseconds. */
export interface EchoOptions {
  /**
   * How long a quiet stream waits before it sends a beat, which is a comment that the client answers. While events are
   * sent, no beat is necessary, because the client answers any data. 100 to 3 600 000.
   * @defaultValue 5 000
   */
  beat?: number | undefined
  /**
   * If a client has owed an echo for this long, its stream ends with reason `no-echo`. A client that has received
   * nothing for this long gives up the stream. Outages shorter than about 60 % of it are tolerated. 200 to 14 400 000,
   * at least twice `beat`.
   * @defaultValue four times `beat`
   */
  silence?: number | undefined
  /**
   * Whether the first echo is required. If not, a client is watched only after its first echo, so that clients without
   * echo support stay connected.
   * @defaultValue `false`
   */
  required?: boolean | undefined
}

/** The same, with all defaults. */
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
