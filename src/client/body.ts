// The body of an event stream that is watched: what is read passes through unchanged, and each read shows that the server
// is there. Beats tell how long silence may last and by what token the client answers.
import { lineReader } from './lines.js'

/** A timer that fires so much later than it should says that the event loop was blocked, or the page throttled. */
const LATE = 1_000

/** The pause before silence counts: what came while the loop was blocked is read in it. */
const GRACE = 500

/**
 * Passes on what `upstream` gives. An end that the server has not announced becomes an error, and so does silence.
 *
 * @param signal - aborted when the stream is given up from above
 * @param answer - answers a beat; the status of the server's answer, 0 for none
 * @param onEnd - called once at the end, with what went wrong
 */
export function watchedBody(
  upstream: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
  answer: (text: string, within: number) => Promise<number>,
  onEnd: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  /** By which the server knows the stream; empty until the first beat, and so with servers that send none. */
  let token = ''
  /** Milliseconds for which either side may hear nothing. */
  let silence = 0
  /** Whether the server has announced the end. */
  let goodbye = false
  /** Of the event that is coming, and of the last one that is complete. */
  let id = ''
  let lastEventId = ''
  const now = (): number => performance.now()
  /** Whether the one above waits for bytes: only then is it the server that is silent. */
  let reading = false
  let over = false
  let heardAt = 0
  /** When the server last said that it knows the stream. */
  let knownAt = 0
  let answeredAt = -1e9
  let answering = false
  /** The server has said that it knows the stream no more: what is on its way is still to come, and that is all. */
  let forgotten = false
  let strikes = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  /** The id of the last event of which the one above has taken everything. */
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

  /** A quarter of the silence: as often are beats answered, at most, one answer at a time. */
  const pace = (): number => silence / 4

  const respond = (): void => {
    if (forgotten || answering || now() - answeredAt < silence / 5) return
    answering = true
    answeredAt = now()
    answer(`${token}\n${processed}`, pace()).then((status) => {
      answering = false
      forgotten = status === 410
      if (status === 204) knownAt = now()
      // Whatever kept it from arriving, what comes next brings another one.
      if (!status) answeredAt -= pace() - LATE
    })
  }

  const schedule = (wait: number): void => {
    const due = now() + wait
    timer = setTimeout(() => check(now() - due), wait)
  }

  const check = (late: number): void => {
    // A server that answers is there, and what it sends may be waiting for its kernel's next try: as long again, and no longer.
    const heard = Math.max(heardAt, Math.min(knownAt, heardAt + silence))
    const left = heard + (forgotten ? pace() : silence) - now()
    respond()
    if (reading && left <= 0) {
      // Twice at least, so that the loop has had a turn for what was waiting; more often when it is late again.
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
        // Whoever asks for more is through with what was there.
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
