// Joining a hub's log, in any interleaving of publishing, coming, lagging, trimming, losing and leaving.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createChannel, type HubChannel } from '../../src/index.js'
import { type Client, client } from '../support/memory-clients.js'
import { type SimulatedFeed, SimulatedHub, SimulatedLog } from '../support/simulated-hub.js'

const PROCESSES = 3
/** How many events the log keeps, and how many a process's window. */
const KEEP = 12

interface Viewer {
  current: Client | undefined
  /** All that it was sent, over all of its connections. */
  blocks: string[]
  lastId: string
  /** How many events had been published where it first came: it must get all after that. */
  from: number | undefined
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      where: fc.nat(2),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('connect' as const),
      who: fc.nat(4),
      where: fc.nat(2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('leave' as const), who: fc.nat(4) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      where: fc.nat(2),
      fails: fc.nat(5),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('room' as const), who: fc.nat(4), room: fc.nat(6) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
)

class World {
  readonly engine = new SimulatedLog(KEEP)
  readonly hubs = Array.from({ length: PROCESSES }, () => new SimulatedHub(this.engine))
  readonly channels: HubChannel[] = this.hubs.map((hub) =>
    createChannel({ hub, name: 'news', history: { maxEvents: 4 } }),
  )
  readonly viewers: Viewer[] = Array.from({ length: 5 }, () => ({
    current: undefined,
    blocks: [],
    lastId: '',
    from: undefined,
  }))
  published = 0
  /** How many had been published when the log was lost last. */
  #offset = 0

  constructor() {
    for (const feed of this.feeds) feed.deliver(0)
  }

  get feeds(): SimulatedFeed[] {
    return this.hubs.map(({ feeds }) => feeds[0] as SimulatedFeed)
  }

  async do(each: Step): Promise<void> {
    const viewer = 'who' in each ? this.viewers[each.who] : undefined
    const feed = 'where' in each ? this.feeds[each.where] : undefined
    if (each.kind === 'publish') {
      await this.channels[0]?.broadcast({ data: ++this.published })
    } else if (each.kind === 'deliver') feed?.deliver(each.count)
    else if (each.kind === 'connect') this.connect(viewer as Viewer, each.where)
    else if (each.kind === 'leave') this.leave(viewer as Viewer)
    else if (each.kind === 'room') viewer?.current?.transport.drain(each.room)
    else if (each.kind === 'answer') {
      const held = feed?.held.shift()
      if (each.fails === 0) held?.fail()
      else held?.answer()
    } else if (each.kind === 'forget') {
      this.engine.forget()
      this.#offset = this.published
    }
    await turn()
  }

  connect(viewer: Viewer, where: number): void {
    this.leave(viewer)
    const one = client(viewer.lastId)
    one.transport.room = 2
    viewer.current = one
    // A client without an id begins at the cursor of the process that it comes to.
    if (viewer.lastId === '') viewer.from = undefined
    this.channels[where]?.subscribe(one.stream)
    viewer.from ??= this.#seenAt(where)
  }

  leave(viewer: Viewer): void {
    const { current } = viewer
    if (current === undefined) return
    viewer.current = undefined
    const blocks = current.transport.text.split('\n\n').slice(0, -1)
    viewer.blocks.push(...blocks)
    viewer.lastId =
      blocks.map((block) => /^id: (.*)$/m.exec(block)?.[1]).findLast((id) => id !== undefined) ??
      viewer.lastId
    current.transport.leave()
  }

  /** Everything that is on its way arrives. */
  async settle(): Promise<void> {
    for (let round = 0; round < 15; round++) {
      for (const feed of this.feeds) {
        feed.deliver(100)
        for (const read of feed.held.splice(0)) read.answer()
      }
      for (const { current } of this.viewers) current?.transport.drain(1_000)
      await turn()
    }
  }

  #seenAt(where: number): number {
    const [era, number] = (this.feeds[where]?.cursor ?? '').split('.')
    const current = this.engine.log.positionOf(0).split('.')[0]
    // A process that has not noticed yet that the log is another one.
    return era === current ? this.#offset + Number(number) : Number.NaN
  }
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const turn = (): Promise<void> => new Promise(setImmediate)

/** Each event once, in order; a hole only right behind a gap event. */
function check({ blocks, from }: Viewer, published: number, done: boolean): void {
  let last = from
  let told = Number.isNaN(from)
  let again = false
  for (const block of blocks) {
    const data = /^data: (.*)$/m.exec(block)?.[1]
    if (/^event: gap$/m.test(block)) {
      told = true
      // Its new place is this process's, which may have yet to hear that the log is another one: a process that it comes to
      // then may send again what it had before it was told.
      again ||= /unavailable|unknown/.test(block)
    }
    if (data !== undefined && !/^event: gap$/m.test(block)) {
      const number = Number(data)
      if (last !== undefined && !Number.isNaN(last)) {
        if (!again) expect(number).toBeGreaterThan(last)
        if (!told) expect(number).toBe(last + 1)
      }
      last = number
      told = false
      again = false
    }
  }
  if (done && !told && last !== undefined) expect(last).toBe(published)
}

it('every client gets each event once and in order, or a gap event, in any interleaving', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 150, size: 'max' }), async (steps) => {
      const world = new World()
      for (const each of steps) await world.do(each)
      await world.settle()
      for (const viewer of world.viewers) {
        const connected = viewer.current !== undefined
        world.leave(viewer)
        check(viewer, world.published, connected)
      }
    }),
    { numRuns: 60 },
  )
}, 120_000)
