// Many small channels, each open only while it is in use.
import { type Clock, systemClock } from '../internal/clock.js'
import { TcpSseError } from '../internal/errors.js'
import { type Checks, checkOptions, duration, wrongType } from '../internal/validate.js'
import { HubChannel } from './hub-channel.js'
import { type HubSettings, hubChecks } from './hub-options.js'

/**
 * Options of `createChannels`: those of a channel with a hub, and the time after which a channel is
 * closed.
 */
export interface ChannelsOptions extends HubSettings {
  /**
   * Milliseconds without a subscriber, a publication or a call of `get` after which a channel is
   * closed in this process. Its log stays in the hub. @defaultValue 30 000
   */
  closeAfter?: number | undefined
}

const checks: Checks<ChannelsOptions> = { ...hubChecks, closeAfter: duration() }

/**
 * Makes channels on request, for example one for each conversation, document or answer of a model.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * const channels = createChannels({ hub: localHub(), history: { maxEvents: 1_000, maxAge: 3_600_000 } })
 * channels.get('chat:42').subscribe(stream)
 * await channels.get('chat:42').broadcast({ data: 'hello' })
 */
export function createChannels(options: ChannelsOptions): Channels {
  return new Channels(options, systemClock)
}

interface Used {
  readonly channel: HubChannel
  /** When it was last requested or seen in use. */
  at: number
}

/**
 * Channels by name. Made by `createChannels`. Do not keep a channel, because it is closed when it
 * is not used. Call `get` each time.
 *
 * @example
 * const channels = createChannels({ hub: localHub() })
 * for (const room of ['a', 'b']) await channels.get(`chat:${room}`).broadcast({ data: 'closing time' })
 * await channels.close()
 */
export class Channels {
  readonly #options: HubSettings
  readonly #closeAfter: number
  readonly #clock: Clock
  readonly #open = new Map<string, Used>()
  #cancelSweep: (() => void) | undefined
  #closed = false

  /** @internal */
  constructor(options: ChannelsOptions, clock: Clock) {
    const { closeAfter = 30_000, ...rest } = checkOptions(options, checks, 'ChannelsOptions')
    if (rest.hub === undefined) {
      throw wrongType('ChannelsOptions.hub', 'a hub, such as localHub()', rest.hub)
    }
    this.#options = rest
    this.#closeAfter = closeAfter
    this.#clock = clock
  }

  /** The number of channels that are open in this process. */
  get size(): number {
    return this.#open.size
  }

  /**
   * Returns the channel with this name, and opens it if necessary.
   *
   * @throws {TcpSseError} `ERR_OPTION_TYPE`, `ERR_CHANNEL_CLOSED`, `ERR_HUB_CLOSED`
   */
  get(name: string): HubChannel {
    if (this.#closed) {
      throw new TcpSseError('ERR_CHANNEL_CLOSED', 'The channels have been closed.')
    }
    const used = this.#open.get(name)
    if (used !== undefined) {
      used.at = this.#clock.now()
      return used.channel
    }
    const channel = new HubChannel({ ...this.#options, name })
    this.#open.set(name, { channel, at: this.#clock.now() })
    this.#cancelSweep ??= this.#sweepLater()
    return channel
  }

  /** Closes all channels, and the streams of their subscribers in this process. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelSweep?.()
    await Promise.all([...this.#open.values()].map(({ channel }) => channel.close()))
    this.#open.clear()
  }

  #sweepLater(): () => void {
    return this.#clock.after(Math.max(50, this.#closeAfter / 4), () => this.#sweep())
  }

  #sweep(): void {
    const now = this.#clock.now()
    for (const [name, used] of this.#open) {
      if (used.channel.busy) used.at = now
      else if (now - used.at >= this.#closeAfter) {
        this.#open.delete(name)
        void used.channel.close()
      }
    }
    this.#cancelSweep = this.#open.size > 0 && !this.#closed ? this.#sweepLater() : undefined
  }
}
