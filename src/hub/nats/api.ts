// JetStream's API: requests and replies in JSON.
import { hubDown } from '../failures.js'
import type { NatsClient } from './client.js'
import type { Settings } from './options.js'
import { decode, type Payload } from './payload.js'

const NO_MESSAGE = 10_037
const NO_STREAM = 10_059
const STREAM_NAME_IN_USE = 10_058

/** Nanoseconds. */
const MILLISECOND = 1_000_000

/**
 * How many messages are kept beyond a channel's history, so that a feed just behind its end finds
 * all of them.
 */
const SPARE = 256

/** The state of the stream on the server. */
export interface StreamState {
  readonly era: string
  readonly last: number
}

/** A stored message. */
export interface Stored extends Payload {
  readonly sequence: number
  readonly subject: string
  /** The time at which the server stored it, in milliseconds. */
  readonly time: number
}

/** An error that the server returned. */
export class ApiError extends Error {
  readonly code: number

  constructor(code: number, description: string) {
    super(`JetStream: ${description}`)
    this.code = code
  }
}

interface StreamInfo {
  readonly created: string
  readonly config: { readonly max_msgs_per_subject: number } & Record<string, unknown>
  readonly state: { readonly last_seq: number }
}

/** One stream of one server or cluster. */
export class Api {
  readonly #client: NatsClient
  readonly #settings: Settings
  #perSubject = 1
  #ensuring: Promise<StreamState> | undefined

  constructor(client: NatsClient, settings: Settings) {
    this.#client = client
    this.#settings = settings
  }

  /**
   * Ensures that the stream exists and keeps `maxEvents` per channel. Concurrent callers share one
   * request.
   */
  ensure(maxEvents: number): Promise<StreamState> {
    const perSubject = maxEvents + SPARE
    if (this.#ensuring === undefined || perSubject > this.#perSubject) {
      this.#perSubject = Math.max(this.#perSubject, perSubject)
      const ensuring = this.#ensure().finally(() => {
        if (this.#ensuring === ensuring) this.#ensuring = undefined
      })
      this.#ensuring = ensuring
    }
    return this.#ensuring
  }

  /** How many messages are kept for a channel with a history of `maxEvents`. */
  roomFor(maxEvents: number): number {
    return maxEvents + SPARE
  }

  /**
   * One message: by its number, the last of a subject, or the first of a subject from a number on.
   */
  async message(which: {
    seq?: number
    last_by_subj?: string
    next_by_subj?: string
  }): Promise<Stored | undefined> {
    try {
      const answer = await this.#ask(`STREAM.MSG.GET.${this.#settings.stream}`, which)
      const stored = answer.message as { subject: string; seq: number; time: string; data?: string }
      const { subject, seq, time, data = '' } = stored
      const payload = decode(Buffer.from(data, 'base64').toString())
      return { subject, sequence: seq, time: Date.parse(time), ...payload }
    } catch (error) {
      if (error instanceof ApiError && error.code === NO_MESSAGE) return undefined
      throw error
    }
  }

  /** Makes an ephemeral consumer. Returns its name and how many messages it has to deliver. */
  async consumer(config: object): Promise<{ name: string; pending: number }> {
    const { stream } = this.#settings
    const body = { stream_name: stream, config: { mem_storage: true, num_replicas: 1, ...config } }
    const answer = await this.#ask(`CONSUMER.CREATE.${stream}`, body)
    return { name: String(answer.name), pending: Number(answer.num_pending) }
  }

  /** Deletes a consumer, without waiting for the answer. */
  forget(consumer: string): void {
    this.#ask(`CONSUMER.DELETE.${this.#settings.stream}.${consumer}`, {}).catch(() => {})
  }

  /** The subject for requesting messages from a consumer. */
  nextOf(consumer: string): string {
    return `${this.#client.api}.CONSUMER.MSG.NEXT.${this.#settings.stream}.${consumer}`
  }

  async #ensure(): Promise<StreamState> {
    const { stream, prefix, storage, replicas, maxAge = 0 } = this.#settings
    let info: StreamInfo
    try {
      info = (await this.#ask(`STREAM.INFO.${stream}`, {})) as unknown as StreamInfo
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== NO_STREAM) throw error
      info = await this.#make({
        name: stream,
        subjects: [`${prefix}.>`],
        storage,
        num_replicas: replicas,
        retention: 'limits',
        discard: 'old',
        max_msgs_per_subject: this.#perSubject,
        max_age: maxAge * MILLISECOND,
        duplicate_window: Math.min(120_000, maxAge || 120_000) * MILLISECOND,
      })
    }
    const { max_msgs_per_subject: has } = info.config
    if (has > 0 && has < this.#perSubject) {
      const config = { ...info.config, max_msgs_per_subject: this.#perSubject }
      await this.#ask(`STREAM.UPDATE.${stream}`, config)
    }
    return { era: Date.parse(info.created).toString(36), last: info.state.last_seq }
  }

  async #make(config: object): Promise<StreamInfo> {
    const { stream } = this.#settings
    try {
      return (await this.#ask(`STREAM.CREATE.${stream}`, config)) as unknown as StreamInfo
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== STREAM_NAME_IN_USE) throw error
      // Another process was first.
      return (await this.#ask(`STREAM.INFO.${stream}`, {})) as unknown as StreamInfo
    }
  }

  async #ask(subject: string, body: object): Promise<Record<string, unknown>> {
    const { connection, api } = this.#client
    if (connection.isClosed()) throw hubDown('The connection to NATS has been closed.')
    const timeout = this.#settings.answerWithin
    const reply = await connection.request(`${api}.${subject}`, JSON.stringify(body), { timeout })
    const answer = JSON.parse(reply.string()) as {
      error?: { err_code: number; description: string }
    } & Record<string, unknown>
    if (answer.error !== undefined) {
      throw new ApiError(answer.error.err_code, answer.error.description)
    }
    return answer
  }
}
