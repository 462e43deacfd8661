// What the encoder writes, as read by decoders that others wrote. A decoder yields exactly what was sent, or the
// encoder has refused it with a code: there is no third way.
import { encode, encodeComment as theirComment } from 'eventsource-encoder'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type EventInput, encodeComment, encodeEvent } from '../../src/index.js'
import { type Decoded, type Decoder, decoders, parser } from './decoders.js'
import { FORGED, HOSTILE } from './hostile.js'

/** The bytes; `undefined` where the encoder refuses, which it must do with its code. */
function encoded(event: EventInput): Buffer | undefined {
  try {
    return encodeEvent(event).bytes
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_EVENT_INVALID' })
    return undefined
  }
}

/** Text as it survives: UTF-8 has no lone surrogates, and the standard has one line end. */
const survives = (text: string): string =>
  Buffer.from(text)
    .toString()
    .replace(/\r\n|\r/g, '\n')

/** What a client is to see of events that were encoded (HTML Standard, 9.2.6). */
function expected(events: readonly EventInput[], decoder: Decoder): Decoded[] {
  const seen: Decoded[] = []
  let lastEventId = ''
  for (const { id, event, data } of events) {
    if (decoder.ids === 'own') lastEventId = String(id ?? '')
    else if (id !== undefined && (data !== undefined || decoder.ids === 'standard')) {
      lastEventId = String(id)
    }
    if (data !== undefined) {
      seen.push({ type: event || 'message', data: survives(data as string), lastEventId })
    }
  }
  return seen
}

/** Cut where it hurts: in the middle of characters and of line ends. */
function cut(bytes: Buffer, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}

async function checkAll(events: readonly EventInput[], pieceSize: number): Promise<void> {
  const accepted: EventInput[] = []
  const frames: Buffer[] = []
  for (const event of events) {
    const bytes = encoded(event)
    if (bytes === undefined) continue
    accepted.push(event)
    frames.push(bytes)
  }
  const chunks = cut(Buffer.concat(frames), pieceSize)
  for (const decoder of decoders) {
    expect(await decoder.decode(chunks), decoder.name).toEqual(expected(accepted, decoder))
  }
}

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('\r', '\n', ':', ' ', '\0', 'data', 'id', '\uFEFF', 'x') }),
  fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  fc.constantFrom(...HOSTILE.filter((text) => text.length < 1_000)),
)

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined })

const anyEvent: fc.Arbitrary<EventInput> = fc.record({
  data: maybe(nasty),
  event: maybe(nasty),
  id: maybe(fc.oneof(nasty, fc.integer())),
  retry: maybe(fc.nat()),
  comment: maybe(nasty),
})

describe('the encoder, read by decoders that others wrote', () => {
  it('decoders return each event as it was sent, however the bytes are split, unless the encoder refused it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEvent, { maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        checkAll,
      ),
      { numRuns: 400 },
    )
  })

  for (const field of ['data', 'comment', 'event', 'id'] as const) {
    it(`a hostile ${field} forges no event and no field`, async () => {
      for (const text of HOSTILE) {
        const event = { data: 'sent', [field]: text }
        const around = [{ id: 'a', data: 'before' }, event, { data: 'after' }]
        await checkAll(around, 4_096)
        if (text.length < 1_000) await checkAll(around, 1)
      }
    })
  }

  it('a comment alone is never an event', async () => {
    for (const text of HOSTILE) {
      const chunks = cut(encodeComment(text).bytes, 1_000)
      for (const decoder of decoders) expect(await decoder.decode(chunks), decoder.name).toEqual([])
    }
  })

  it('the test data does forge events if a server joins strings instead', async () => {
    let forged = 0
    for (const text of HOSTILE) {
      const bytes = Buffer.from(`id: 1\ndata: ${text}\n\n`)
      for (const { type, data, lastEventId } of await parser.decode([bytes])) {
        if (data === FORGED || type === FORGED || lastEventId === FORGED) forged++
      }
    }
    expect(forged).toBeGreaterThan(10)
  })
})

describe('the encoder, beside eventsource-encoder', () => {
  const word = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\0]/.test(text))
  const valid = fc.record({
    data: fc.string({ unit: fc.oneof(fc.constantFrom('\n', '\r', '\r\n'), fc.string()) }),
    event: maybe(word.filter((text) => text !== '')),
    id: maybe(fc.oneof(word, fc.integer())),
    retry: maybe(fc.nat()),
  })

  it('every decoder reads the same from both, for any valid event', async () => {
    await fc.assert(
      fc.asyncProperty(valid, async (event) => {
        const given = Object.entries(event).filter(([, value]) => value !== undefined)
        const theirs = encode(Object.fromEntries(given) as Parameters<typeof encode>[0])
        const ours = encodeEvent(event).bytes
        for (const decoder of decoders) {
          expect(await decoder.decode([ours]), decoder.name).toEqual(
            await decoder.decode([Buffer.from(theirs)]),
          )
        }
        // The same lines, too: only their order differs.
        const sorted = (text: string): string[] => text.split('\n').sort()
        expect(sorted(ours.toString())).toEqual(sorted(Buffer.from(theirs).toString()))
      }),
      { numRuns: 300 },
    )
  })

  it('comments are the same to the byte', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        expect(encodeComment(text).bytes).toEqual(Buffer.from(theirComment(text)))
      }),
    )
  })
})
