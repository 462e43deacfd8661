import { systemClock } from '../internal/clock.js'
import { brand } from '../internal/shared.js'
import type { Refusal } from '../transport/head.js'
import type { Transport } from '../transport/transport.js'
import { AgingStream } from './aging-stream.js'
import { lifetime } from './deadlines.js'
import { EchoStream } from './echo-stream.js'
import { LiveStream } from './live-stream.js'
import type { StreamSettings } from './options.js'

// Brand the class here, because all streams are created here.
brand(LiveStream, 'EventStream')

/** Creates the stream of a client, or the closed stream of a rejected request. */
export function makeStream(
  transport: Transport,
  settings: StreamSettings,
  lastEventId: string,
  refusal?: Refusal,
): LiveStream {
  const { maxAge, echo } = settings
  if (maxAge === false && echo === false)
    return new LiveStream(transport, settings, lastEventId, refusal)
  const expiresAt =
    maxAge === false ? Number.POSITIVE_INFINITY : systemClock.now() + lifetime(maxAge)
  const stream =
    echo === false
      ? new AgingStream(transport, settings, lastEventId, refusal)
      : new EchoStream(transport, settings, echo, lastEventId, refusal)
  return stream.expireAt(expiresAt)
}
