/**
 * Which clients are cut, and the router commands that lead from one set of cuts to the next.
 * Pure: it keeps the state and writes the command lines, others run them.
 *
 * One reject route a block kills both directions of IPv4: towards the client by the route itself,
 * from the client because the router has `rp_filter` on and so drops packets whose source it could
 * not answer. (Rules would do too, but every packet of the living would walk past all of them.)
 * IPv6 has no `rp_filter`, so there a rule drops what comes from the client.
 */
import { type Block, blocksOf, EVERY_CLIENT } from './addresses.js'

/**
 * What the server hears of a cut: nothing (`silent`), ICMP host unreachable (`host`) or ICMP
 * administratively prohibited (`admin`). The client hears nothing in any of them.
 */
export type CutKind = 'silent' | 'host' | 'admin'

/** Client indices, or everyone on the client side. */
export type Target = readonly number[] | 'all'

/** Lines for `ip -batch`; rules are apart because `ip` needs `-6` to understand an IPv6 one. */
export interface RouterCommands {
  readonly routes: readonly string[]
  readonly rules6: readonly string[]
}

interface Cut {
  readonly block: Block
  readonly kind: CutKind
}

const ROUTE_TYPE: Record<CutKind, string> = {
  silent: 'blackhole',
  host: 'unreachable',
  admin: 'prohibit',
}

const RULE_PREFERENCE = 100

/** The cuts in force. */
export class CutTable {
  readonly #ipv6: boolean
  readonly #cut = new Map<number, CutKind>()
  #everyone: CutKind | undefined
  #installed = new Map<string, Cut>()

  constructor(ipv6: boolean) {
    this.#ipv6 = ipv6
  }

  /** Cuts the target and returns the commands to run. Cutting twice changes only the kind. */
  cut(target: Target, kind: CutKind): RouterCommands {
    if (target === 'all') this.#everyone = kind
    else for (const index of target) this.#cut.set(index, kind)
    return this.#commands()
  }

  /** Heals the target and returns the commands to run. Healing the healthy does nothing. */
  heal(target: Target): RouterCommands {
    if (target === 'all') {
      this.#everyone = undefined
      this.#cut.clear()
    } else if (this.#everyone !== undefined) {
      throw new Error("every client is cut: only heal('all') can undo that")
    } else for (const index of target) this.#cut.delete(index)
    return this.#commands()
  }

  #commands(): RouterCommands {
    const wanted = this.#wanted()
    const routes: string[] = []
    const rules6: string[] = []
    // New blocks go in before old ones go out: a client that stays cut is never let through.
    for (const [key, cut] of wanted) {
      const old = this.#installed.get(key)
      if (old?.kind === cut.kind) continue
      if (old === undefined) rules6.push(rule('add', cut))
      else routes.push(...this.#routes('del', old))
      routes.push(...this.#routes('add', cut))
    }
    for (const [key, old] of this.#installed) {
      if (wanted.has(key)) continue
      routes.push(...this.#routes('del', old))
      rules6.push(rule('del', old))
    }
    this.#installed = wanted
    return { routes, rules6: this.#ipv6 ? rules6 : [] }
  }

  #wanted(): Map<string, Cut> {
    const wanted = new Map<string, Cut>()
    for (const kind of ['silent', 'host', 'admin'] as const) {
      const indices = [...this.#cut].filter(([, each]) => each === kind).map(([index]) => index)
      for (const block of blocksOf(indices)) wanted.set(block.v4, { block, kind })
    }
    if (this.#everyone !== undefined) {
      for (const block of EVERY_CLIENT) wanted.set(block.v4, { block, kind: this.#everyone })
    }
    return wanted
  }

  #routes(verb: 'add' | 'del', { block, kind }: Cut): string[] {
    const prefixes = this.#ipv6 ? [block.v4, block.v6] : [block.v4]
    return prefixes.map((prefix) => `route ${verb} ${ROUTE_TYPE[kind]} ${prefix}`)
  }
}

function rule(verb: 'add' | 'del', { block }: Cut): string {
  return `rule ${verb} from ${block.v6} pref ${RULE_PREFERENCE} blackhole`
}
