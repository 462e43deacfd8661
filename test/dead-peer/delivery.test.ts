// What a stream says was delivered, against what the receiver's kernel has taken. 1 000 receivers that vanish at a random
// moment, half of them with a reset or a close, half in silence.
import { afterAll, expect, it } from 'vitest'
import { capabilities } from '../../src/index.js'
import { Rig } from '../../src/testing/index.js'
import { FIRST_CHUNK } from '../support/chunked.js'
import type { Account } from '../support/delivery-server.js'
import { describeWithRig } from '../support/describe-with-rig.js'
import { waitFor } from '../support/wait-for.js'
import { delay } from './scene.js'

const BATCHES = 8
const CLIENTS = 125

interface Sum {
  rounds: number
  events: number
  delivered: number
  under: number
  silent: number
}

describeWithRig('delivery', () => {
  const rig = new Rig({ tcpRmem: '4096 65536 262144' })
  afterAll(() => rig.close())

  it.runIf(capabilities().addon)(
    'is never over-reported, and after a death by silence never under-reported',
    async () => {
      const server = rig.spawnServer(new URL('../support/delivery-server.ts', import.meta.url))
      const clients = rig.spawnClients(new URL('../support/delivery-clients.ts', import.meta.url))
      const port = await server.call<number>('listen')
      const addresses = Array.from({ length: CLIENTS }, (_, index) => rig.clientAddress(index))
      const sum: Sum = { rounds: 0, events: 0, delivered: 0, under: 0, silent: 0 }
      for (let batch = 0; batch < BATCHES; batch++) {
        await clients.call('open', { addresses, host: rig.serverAddress, port })
        await waitFor('streams', async () => (await server.call<number>('count')) === CLIENTS)
        await delay(200 + Math.random() * 800)
        // Nothing arrives any more, and what has arrived is still acknowledged.
        rig.cutTowards('all')
        await delay(300)
        const taken = await clients.call<{ address: string; taken: number }[]>('taken')
        const silent = new Set(addresses.filter((_, index) => (index + batch) % 2 === 0))
        await clients.call(
          'reset',
          addresses.filter((address) => !silent.has(address)),
        )
        rig.cutFrom('all')
        await waitFor('the ends', async () => (await server.call<number>('open')) === 0, 15_000)
        const accounts = await server.call<Account[]>('accounts')
        for (const account of accounts) {
          const mine = taken.find(({ address }) => address === account.address)
          check(account, mine?.taken as number, silent.has(account.address), sum)
        }
        rig.healTowards('all')
        rig.healFrom('all')
        await clients.call('forget')
        await delay(50)
      }
      expect(sum.rounds).toBe(BATCHES * CLIENTS)
      expect(await server.call('problems')).toBe(0)
      console.log(
        `delivery: ${sum.rounds} rounds (${sum.silent} in silence), ${sum.events} events sent, ${sum.delivered} ` +
          `reported delivered; over-reported 0; under-reported in ${sum.under} rounds that ended with a reset or close`,
      )
    },
    240_000,
  )
})

function check(account: Account, taken: number, silent: boolean, sum: Sum): void {
  const { ends, deliveredEvents, deliveredBytes, undeliveredIds, deliveredId } = account
  const there = ends.filter((end) => end <= taken).length
  const about = `${account.address} (${account.reason}): the kernel took ${taken} bytes, ${there} events`
  expect(deliveredBytes, about).toBeLessThanOrEqual(taken)
  expect(deliveredEvents, about).toBeLessThanOrEqual(there)
  expect(deliveredId, about).toBe(deliveredEvents === 0 ? undefined : String(deliveredEvents - 1))
  expect(account.undeliveredEvents + deliveredEvents, about).toBe(ends.length)
  if (!account.overflowed) {
    const rest = Array.from(
      { length: ends.length - deliveredEvents },
      (_, i) => `${deliveredEvents + i}`,
    )
    expect(undeliveredIds, about).toEqual(rest)
  }
  if (silent) {
    expect(account.reason, about).toBe('peer-dead')
    expect(deliveredEvents, about).toBe(there)
    expect(deliveredBytes, about).toBe(Math.max(0, taken - FIRST_CHUNK))
  } else expect(['client-reset', 'client-closed'], about).toContain(account.reason)
  for (const [id, outcome] of Object.entries(account.confirmed)) {
    if (outcome === 'delivered') expect(Number(id), about).toBeLessThan(there)
    else if (outcome === 'undelivered')
      expect(Number(id), about).toBeGreaterThanOrEqual(deliveredEvents)
  }
  expect(account.transfer, about).toBe('closed')
  sum.rounds += 1
  sum.events += ends.length
  sum.delivered += deliveredEvents
  if (silent) sum.silent += 1
  else if (deliveredEvents < there) sum.under += 1
}
