// The duties of a hub, as tests for any test framework.
import { randomUUID } from 'node:crypto'
import type { Hub, Keep } from '../hub/hub.js'
import { type Checks, callable, checkOptions, string } from '../internal/validate.js'
import { type OpenFeed, openFeed } from './feed-recorder.js'
import { absenceCases } from './hub-absence-cases.js'
import { feedCases } from './hub-feed-cases.js'
import { readCases } from './hub-read-cases.js'
import type { HubContractOptions, Scene } from './hub-scene.js'

export type { HubContractOptions } from './hub-scene.js'

const checks: Checks<HubContractOptions> = {
  name: string,
  test: callable(),
  openHub: callable(),
  interrupt: callable(),
  restore: callable(),
  forget: callable(),
}

/**
 * Declares the contract tests of a hub: order, each entry once, positions, reading by bounds,
 * pauses, outages, another era. A test takes a fraction of a second. Each of its waits fails after
 * 15 seconds.
 *
 * @throws {TcpSseError} `ERR_OPTION_*`
 * @example
 * import { test } from 'node:test'
 * import { type Hub, hubContract } from 'tcp-sse/testing'
 *
 * declare function myHub(): Hub
 * hubContract({ name: 'my engine', test, openHub: myHub })
 */
export function hubContract(options: HubContractOptions): void {
  const given = checkOptions(options, checks, 'HubContractOptions')
  const { name, test, openHub } = given
  for (const option of ['name', 'test', 'openHub'] as const) {
    checks[option](given[option], option)
  }
  for (const [title, run] of [...feedCases, ...readCases, ...absenceCases(given)]) {
    test(`${name}: ${title}`, () => inScene(openHub, run))
  }
}

async function inScene(
  openHub: HubContractOptions['openHub'],
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  const hubs: Hub[] = []
  const feeds: OpenFeed[] = []
  const channel = `contract-${randomUUID()}`
  const hub = async (): Promise<Hub> => {
    const made = await openHub()
    hubs.push(made)
    return made
  }
  const open = async (name = channel, keep: Keep = { maxEvents: 1_000 }): Promise<OpenFeed> => {
    const feed = await openFeed(await hub(), name, keep)
    feeds.push(feed)
    return feed
  }
  try {
    await run({ channel, hub, open })
  } finally {
    for (const each of hubs) await each.close()
  }
  const faults = feeds.flatMap(({ heard }) => heard.faults)
  if (faults.length > 0)
    throw new Error(`The hub called the listener wrongly: ${faults.join(', ')}.`)
}
