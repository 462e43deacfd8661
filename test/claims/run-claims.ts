// Many claims at once: they mostly wait.
import { release } from 'node:os'
import { type Claim, hasSmallWindows } from './claim.js'
import { House } from './house.js'
import { failedClaim, judgeClaim, type Result } from './result.js'
import { MissedMoment, tryClaim } from './try-claim.js'

/** What the servers say beside the claims. */
export interface Health {
  readonly house: string
  readonly problems: readonly string[]
  /** The longest time for which the server's loop stood still, ms: what a late close may be owed to. */
  readonly longestDelay: number
}

/** How claims are run. */
export interface Running {
  /** Connections at a time, about. */
  readonly atOnce: number
  readonly onResult?: (result: Result) => void
  readonly onHealth?: (health: Health) => void
  /** Milliseconds between two times for which every server's loop is blocked for a while. */
  readonly hiccups?: number | undefined
}

/** For how long a hiccup blocks a loop. */
const HICCUP = 5_000

/** Tries all claims, the longest first; settles with their results, in the claims' order. */
export async function runClaims(claims: readonly Claim[], running: Running): Promise<Result[]> {
  const houses = housesFor(claims)
  const timer = hiccups(houses, running.hiccups)
  try {
    const results = new Map<Claim, Result>()
    const free = new Room(running.atOnce)
    const one = async (claim: Claim): Promise<void> => {
      await free.take(claim)
      const house = houses.get(houseOf(claim)) as House
      const result = await tryOne(claim, house)
      free.give(claim)
      results.set(claim, result)
      running.onResult?.(result)
    }
    await Promise.all([...claims].sort(longestFirst).map(one))
    for (const [name, house] of houses) {
      running.onHealth?.({ house: name, ...(await house.health()) })
    }
    return claims.map((claim) => results.get(claim) as Result)
  } finally {
    clearInterval(timer)
    for (const house of houses.values()) house.close()
  }
}

/** Claims of one house do not disturb each other, but for those whose server is halted, and the size of the windows. */
function houseOf(claim: Claim): string {
  if (claim.halt !== undefined) return claim.halt
  return hasSmallWindows(claim) ? 'small windows' : 'wide windows'
}

function housesFor(claims: readonly Claim[]): Map<string, House> {
  const houses = new Map<string, House>()
  for (const claim of claims) {
    const name = houseOf(claim)
    if (houses.has(name)) continue
    const halting = claims.filter((each) => each.halt !== undefined && houseOf(each) === name)
    houses.set(name, new House(hasSmallWindows(claim), halting.length))
  }
  return houses
}

function hiccups(houses: ReadonlyMap<string, House>, every: number | undefined) {
  if (every === undefined) return undefined
  return setInterval(() => {
    // One that is gone is told by its claims.
    for (const house of houses.values()) house.block(HICCUP).catch(() => {})
  }, every)
}

/** How often a claim is tried for which the machine was too late. */
const TRIES = 3

async function tryOne(claim: Claim, house: House, tries = TRIES): Promise<Result> {
  try {
    return judgeClaim(claim, release(), await tryClaim(claim, house))
  } catch (error) {
    if (error instanceof MissedMoment && tries > 1) return tryOne(claim, house, tries - 1)
    if (claim.halt !== undefined) house.leave(claim.halt)
    return failedClaim(claim, release(), String((error as Error).message).split('\n')[0] as string)
  }
}

/** Those whose server is halted wait for each other, so none of them may wait for room. */
function longestFirst(a: Claim, b: Claim): number {
  if ((a.halt === undefined) !== (b.halt === undefined)) return a.halt === undefined ? 1 : -1
  return b.hold + b.detectWithin - (a.hold + a.detectWithin)
}

/** Room for so many connections; claims get it in the order in which they ask. */
class Room {
  #free: number
  readonly #waiting: { claim: Claim; go: () => void }[] = []

  constructor(connections: number) {
    this.#free = connections
  }

  take(claim: Claim): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ claim, go })
      this.#admit()
    })
  }

  give({ count, halt }: Claim): void {
    if (halt === undefined) this.#free += count
    this.#admit()
  }

  #admit(): void {
    for (;;) {
      const [first] = this.#waiting
      if (first === undefined) return
      const { claim, go } = first
      if (claim.halt === undefined) {
        if (this.#free <= 0) return
        this.#free -= claim.count
      }
      this.#waiting.shift()
      go()
    }
  }
}
