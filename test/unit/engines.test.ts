// What the engines' hubs take, and how they read positions, without an engine.
import { expect, test } from 'vitest'
import { natsHub } from '../../src/hub/nats/index.js'
import { placeOf as natsPlaceOf } from '../../src/hub/nats/position.js'
import { redisHub } from '../../src/hub/redis/index.js'
import {
  entriesByKey,
  entriesOf,
  isReply,
  isTransient,
  lastDeliveredOf,
} from '../../src/hub/redis/replies.js'
import { before, beyond, compareIds, placeOf } from '../../src/hub/redis/stream-id.js'

const codeOf = (action: () => unknown): string | undefined => {
  try {
    action()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code
  }
}

const connector = { connect: () => Promise.reject(new Error('nobody is there')) }
const js = {
  publish: async () => ({ seq: 1 }),
  nc: { request: async () => {}, async *status() {}, isClosed: () => false },
}

test.each([undefined, null, 'redis://127.0.0.1', {}, [], { get: () => {}, connect: () => {} }])(
  'redisHub refuses %o, which is no client',
  (client) => {
    expect(codeOf(() => redisHub(client as never))).toBe('ERR_OPTION_TYPE')
  },
)

test.each([undefined, null, {}, { publish: () => {} }, { nc: js.nc }])(
  'natsHub refuses %o, which is no JetStream client',
  (client) => {
    expect(codeOf(() => natsHub(client as never))).toBe('ERR_OPTION_TYPE')
  },
)

test.each([
  [{ prefx: 'a' }, 'ERR_OPTION_UNKNOWN'],
  [{ prefix: 'a{b}' }, 'ERR_OPTION_VALUE'],
  [{ prefix: '' }, 'ERR_OPTION_VALUE'],
  [{ prefix: 1 }, 'ERR_OPTION_TYPE'],
  [{ partitions: 0 }, 'ERR_OPTION_VALUE'],
  [{ blockFor: '2s' }, 'ERR_OPTION_TYPE'],
  [{ answerWithin: 0 }, 'ERR_OPTION_VALUE'],
  [{ maxPending: 1.5 }, 'ERR_OPTION_VALUE'],
])('redisHub refuses %o with %s', (options, code) => {
  expect(codeOf(() => redisHub(connector, options as never))).toBe(code)
})

test.each([
  [{ steam: 'a' }, 'ERR_OPTION_UNKNOWN'],
  [{ stream: 'a.b' }, 'ERR_OPTION_VALUE'],
  [{ prefix: '>' }, 'ERR_OPTION_VALUE'],
  [{ storage: 'disk' }, 'ERR_OPTION_VALUE'],
  [{ replicas: 6 }, 'ERR_OPTION_VALUE'],
  [{ heartbeat: 1 }, 'ERR_OPTION_VALUE'],
])('natsHub refuses %o with %s', (options, code) => {
  expect(codeOf(() => natsHub(js, options as never))).toBe(code)
})

test('an engine that does not answer is down, and publishing rejects in time', async () => {
  const hub = redisHub(connector, { answerWithin: 100 })
  const states: string[] = []
  let down = (): void => {}
  const isDown = new Promise<void>((resolve) => {
    down = resolve
  })
  const listener = {
    start() {},
    entry() {},
    gap() {},
    state(state: string) {
      states.push(state)
      down()
    },
  }
  const feed = hub.open('news', listener, { maxEvents: 10 })
  expect(states).toEqual([])
  await isDown
  expect(states).toEqual(['down'])
  const sent = feed.publish({ text: 'data: a\n\n', token: 'a' }, 50)
  await expect(sent).rejects.toMatchObject({ code: 'ERR_HUB_DOWN' })
  const upTo = 'a.1-1'
  expect(await feed.read({ after: 'a.1-0', upTo, limit: 1, timeout: 50 })).toMatchObject({
    outcome: 'unknown',
  })
  await hub.close()
  expect(codeOf(() => hub.open('news', listener, { maxEvents: 10 }))).toBe('ERR_HUB_CLOSED')
})

test('publications beyond maxPending are refused at once', async () => {
  const hub = redisHub(connector, { maxPending: 2 })
  const listener = { start() {}, entry() {}, gap() {}, state() {} }
  const feed = hub.open('news', listener, { maxEvents: 10 })
  const sent = [1, 2, 3].map((n) => feed.publish({ text: 'data: a\n\n', token: `${n}` }, 20_000))
  await expect(sent[2]).rejects.toMatchObject({ code: 'ERR_HUB_DOWN' })
  const rest = Promise.allSettled(sent)
  await hub.close()
  const codes = (await rest).map((each) => (each as PromiseRejectedResult).reason.code)
  expect(codes).toEqual(['ERR_HUB_DOWN', 'ERR_HUB_DOWN', 'ERR_HUB_DOWN'])
})

test.each([
  '',
  'a',
  'a.1',
  'a.1-',
  'a.01-1',
  'a.-1-1',
  'a.1-1 ',
  'A.1-1',
  'a.1-1\n',
  'a.1-18446744073709551616',
  'a.99999999999999999999-0',
  'a.+-1',
  'a.$',
])('%o is no position of a stream', (position) => {
  expect(placeOf(position)).toBeUndefined()
})

test.each(['', 'a.1', 'a.1.', 'a.01.a', 'a.1.a.', 'a.9999999999999999.a', 'a.>.a'])(
  '%o is no position of a NATS stream',
  (position) => {
    expect(natsPlaceOf(position)).toBeUndefined()
  },
)

test('ids are compared by their 64 bits', () => {
  const ids = ['0-0', '0-1', '9-18446744073709551615', '10-0', '10-9', '10-10', '1795814006292-0']
  for (const [i, a] of ids.entries()) {
    for (const [j, b] of ids.entries()) {
      expect(Math.sign(compareIds(a, b))).toBe(Math.sign(i - j))
    }
  }
  expect(before('10-0')).toBe('9-18446744073709551615')
  expect(before('10-10')).toBe('10-9')
  expect(before('0-0')).toBe('0-0')
  expect(beyond('9-18446744073709551615')).toBe('10-0')
})

test('replies are read in the forms of RESP2 and RESP3', () => {
  const entry = ['1-0', ['e', 'text', 'n', '1']]
  const expected = [{ id: '1-0', fields: { e: 'text', n: '1' } }]
  expect(entriesOf([entry])).toEqual(expected)
  expect(entriesOf([['1-0', { e: 'text', n: '1' }]])).toEqual(expected)
  expect(entriesOf(null)).toEqual([])
  for (const reply of [
    [['k', [entry]]],
    new Map([['k', [entry]]]),
    { k: [entry] },
    ['k', [entry]],
  ]) {
    expect(entriesByKey(reply)).toEqual(new Map([['k', expected]]))
  }
  expect(entriesByKey(null)).toEqual(new Map())
  const group = ['name', 'g', 'last-delivered-id', '0-5']
  const asObject = { name: 'g', 'last-delivered-id': '0-5' }
  for (const each of [group, asObject, new Map(Object.entries(asObject))]) {
    expect(lastDeliveredOf([each], 'g')).toBe('0-5')
    expect(lastDeliveredOf([each], 'h')).toBeUndefined()
  }
})

test('a reply of the server is distinguished from a broken connection', () => {
  expect(isReply(new Error('ERR syntax error'))).toBe(true)
  expect(isReply(new Error('Socket closed unexpectedly'))).toBe(false)
  expect(isReply(new Error('Connection is closed.'))).toBe(false)
  expect(isTransient(new Error("READONLY You can't write against a read only replica."))).toBe(true)
  expect(isTransient(new Error('OOM command not allowed when used memory > maxmemory'))).toBe(false)
})
