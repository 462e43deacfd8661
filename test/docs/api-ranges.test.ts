// The ranges of options in docs/api.md are those of the code: the bounds are accepted, and what is just beyond them is not.
import http from 'node:http'
import { Socket } from 'node:net'
import {
  applySocketOptions,
  createAdmission,
  createChannel,
  createChannels,
  createEventStream,
  drain,
  encodeEvent,
  guardPort,
  guardServer,
  livenessPlan,
  localHub,
  MemoryHistory,
  TcpSseError,
} from 'tcp-sse'
import { dashboard } from 'tcp-sse/dashboard'
import { natsHub } from 'tcp-sse/nats'
import { redisHub } from 'tcp-sse/redis'
import { createEventResponse } from 'tcp-sse/web'
import { describe, expect, it } from 'vitest'
import { definitionsOfPage } from './reference.js'
import { read } from './snippets.js'

type Given = Record<string, unknown>
/** Passes options on. Whatever else is wrong with the call is found after its options, so that nothing happens. */
type Try = (options: Given) => unknown

const nothing = {} as never
const jetStream = {
  publish: () => nothing,
  nc: { request: () => nothing, status: async function* () {}, isClosed: () => false },
}
const keepAlive = { idle: 1_000, interval: 1_000, count: 1 }

/** By the name of the options' type. */
const TRIES: Readonly<Record<string, Try>> = {
  EventStreamOptions: (options) => createEventStream(nothing, nothing, options),
  EventResponseOptions: (options) => createEventResponse(nothing, options),
  EchoOptions: (options) =>
    createEventStream(nothing, nothing, {
      echo: { ...('silence' in options ? { beat: 100 } : {}), ...options },
    }),
  LivenessOverrides: (options) => livenessPlan(30_000, options),
  ChannelOptions: (options) => createChannel(options),
  MemoryHistoryOptions: (options) => new MemoryHistory(options),
  HubSettings: (options) => createChannel({ hub: localHub(), name: 'x', ...options }).close(),
  HubHistory: (history) => createChannel({ hub: localHub(), name: 'x', history }).close(),
  ChannelsOptions: (options) => createChannels({ hub: localHub(), ...options }),
  RedisHubOptions: (options) => redisHub({ connect: () => nothing }, options),
  NatsHubOptions: (options) => natsHub(jetStream as never, options),
  GuardOptions: (options) => guardServer(http.createServer(), options).stop(),
  PortGuardOptions: (options) => guardPort({ port: 1, dryRun: true, ...options }).stop(),
  DrainOptions: (options) => drain(nothing, options),
  AdmissionOptions: (options) => createAdmission({ maxStreams: 1, ...options }),
  SocketOptions: (options) => applySocketOptions(new Socket(), options),
  KeepAliveOptions: (options) =>
    applySocketOptions(new Socket(), { keepAlive: { ...keepAlive, ...options } }),
  EventInput: (event) => encodeEvent(event),
  DashboardOptions: (options) => dashboard(options).close(),
}

const REFUSALS = /^ERR_(OPTION_|DETECT_WITHIN_TOO_SMALL|EVENT_INVALID)/

async function isRefused(call: Try, options: Given): Promise<boolean> {
  try {
    await call(options)
    return false
  } catch (error) {
    if (!(error instanceof TcpSseError)) throw error
    return REFUSALS.test(error.code)
  }
}

interface Row {
  readonly type: string
  readonly option: string
  readonly range: string
}

const NUMBER = '\\d[\\d ]*'
const numberOf = (text = ''): number => Number(text.replaceAll(' ', ''))
const LONGEST_TIMER = 2 ** 31 - 1
const UNITS =
  /^(?:ms|bytes|events|streams|slots|channels|publications|servers|connections|pages|probes)\b/

/** What the second cell says: `ms, 4 000 to 3 600 000`, `bytes, from 1`; a time without bounds is what a timer takes. */
function boundsOf({ range }: Row): { least: number; most: number | undefined } | undefined {
  const [, least, most] = new RegExp(`(${NUMBER}) to (${NUMBER})`).exec(range) ?? []
  const [, from] = new RegExp(`from (${NUMBER})`).exec(range) ?? []
  if (least !== undefined) return { least: numberOf(least), most: numberOf(most) }
  if (from !== undefined) return { least: numberOf(from), most: undefined }
  return range.startsWith('ms') ? { least: 1, most: LONGEST_TIMER } : undefined
}

const rows: readonly Row[] = definitionsOfPage(read('docs/api.md')).flatMap(({ name, text }) =>
  [...text.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)].map(([, option = '', range = '']) => ({
    type: name,
    option,
    range,
  })),
)
const numeric = rows.filter(({ type, range }) => type in TRIES && UNITS.test(range))

describe('the ranges in docs/api.md', () => {
  it('are there', () => expect(numeric.length).toBeGreaterThan(50))

  for (const row of numeric) {
    const { type, option, range } = row
    const bounds = boundsOf(row)
    // Another option is its upper bound.
    if (bounds === undefined || range.includes('to `')) continue
    it(`${type}.${option}: ${range}`, async () => {
      const call = TRIES[type] as Try
      const { least, most } = bounds
      expect(await isRefused(call, { [option]: least })).toBe(false)
      expect(await isRefused(call, { [option]: least - 1 })).toBe(true)
      if (most !== undefined) {
        expect(await isRefused(call, { [option]: most })).toBe(false)
        expect(await isRefused(call, { [option]: most + 1 })).toBe(true)
      }
      expect(await isRefused(call, { [option]: false })).toBe(!range.includes('`false`'))
    })
  }
})
