// The body of a watched event stream. Bytes pass through unchanged, and each read shows that the
// server is there. Beats say how long silence may last, and with which token the client answers.
import { lineReader } from './lines.js'

/**
 * If a timer fires this much too late, the event loop was blocked, or the page was throttled. In
 * milliseconds.
 */
const LATE = 1_000

/**
 * The shortest pause between two checks, in milliseconds. Bytes that arrived while the event loop
 * was blocked are read in it.
 */
const GRACE = 500

/**
 * Passes on the bytes of `upstream`. Silence, and an end that the server has not announced, become
 * errors.
 *
 * @param signal - aborted when the caller gives up the stream
 * @param answer - answers a beat within a number of milliseconds; resolves to the status of the
 * server's response, 0 for none
 * @param onEnd - called once at the end, with the error if there is one
 */
export function watchedBody(
  upstream: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
  answer: (text: string, within: number) => Promise<number>,
  onEnd: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  /**
   * Identifies the stream to the server. Empty until the first beat, and with servers that send
   * none.
   */
  let token = ''
  /** Milliseconds for which either side may hear nothing. */
  let silence = 0
  /** Whether the server has announced the end. */
  let goodbye = false
  /** The ids of the incomplete event and of the last complete one. */
  let id = ''
  let lastEventId = ''
  const now = (): number => performance.now()
  /** Whether the reader is waiting for bytes. Only then is the server silent. */
  let reading = false
  let over = false
  let heardAt = 0
  /** When the server last confirmed that it knows the stream. */
  let knownAt = 0
  let answeredAt = -1e9
  let answering = false
  /**
   * Whether the server has answered that the stream has ended there. Bytes that are still in
   * transit may arrive.
   */
  let forgotten = false
  let strikes = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  /** The id of the last event whose bytes the reader has taken completely. */
  let processed = ''
  let sink: ReadableStreamDefaultController<Uint8Array>

  const scan = lineReader((line) => {
    const beat = /^: beat (\S+) (\d+)$/.exec(line)
    if (beat) {
      token = beat[1] as string
      silence = Number(beat[2])
    }
    if (line === ': bye') goodbye = true
    if (!line) lastEventId = id
    if (/^id(:|$)/.test(line)) id = line.replace(/^id:? ?/, '')
  })

  const end = (error?: unknown): void => {
    if (over) return
    stop(error)
    if (error) sink.error(error)
    else sink.close()
  }

  const stop = (error: unknown): void => {
    over = true
    clearTimeout(timer)
    onEnd(error)
  }

  /**
   * A quarter of the allowed silence: the longest time between two checks, and the timeout of an
   * answer.
   */
  const pace = (): number => silence / 4

  const respond = (): void => {
    if (forgotten || answering || now() - answeredAt < silence / 5) return
    answering = true
    answeredAt = now()
    answer(`${token}\n${processed}`, pace()).then((status) => {
      answering = false
      forgotten = status === 410
      if (status === 204) knownAt = now()
      // The answer did not arrive. Answer the next beat early.
      if (!status) answeredAt -= pace() - LATE
    })
  }

  const schedule = (wait: number): void => {
    const due = now() + wait
    timer = setTimeout(() => check(now() - due), wait)
  }

  const check = (late: number): void => {
    // A server that confirms the stream is alive, and its data may be waiting for a retransmission.
    // That extends the silence once.
    const heard = Math.max(heardAt, Math.min(knownAt, heardAt + silence))
    const left = heard + (forgotten ? pace() : silence) - now()
    respond()
    if (reading && left <= 0) {
      // Two strikes are needed, so that the event loop could read waiting bytes; after late timers,
      // more.
      strikes += late > LATE ? 0.5 : 1
      if (strikes > 1) end(new TypeError('silence'))
    }
    if (!over) schedule(Math.max(GRACE, Math.min(left, pace())))
  }

  const take = (step: { value?: Uint8Array | undefined }): void => {
    reading = false
    if (over) return
    const { value } = step
    if (!value) {
      end(token && !goodbye && new TypeError('cut off'))
      return
    }
    scan(value)
    sink.enqueue(value)
    if (!token) return
    if (!timer) schedule(pace())
    respond()
  }

  signal.onabort = () => end(signal.reason)

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        sink = controller
      },
      pull() {
        // A reader that asks for more has processed what it got before.
        processed = lastEventId
        reading = true
        heardAt = now()
        strikes = 0
        return upstream.read().then(take).catch(end)
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  )
}
