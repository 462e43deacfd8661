/**
 * Where everything in the rig stands. Pure: no process is started and no command is run here.
 *
 * ```
 * server namespace        router namespace               client namespace
 * 10.77.1.2/24 e0 ------- rs 10.77.1.1   10.77.2.1 rc ------- e0 10.77.2.2/24
 * fd77:1::2/64               (ip_forward)                     10.78.0.0/16, fd78::/112 on lo (AnyIP)
 * ```
 *
 * The namespaces have no link to the host, so these addresses cannot meet the host's.
 */

/** The fixed addresses of the rig, one set for IPv4 and one for IPv6. */
export const PLAN = {
  server: { v4: '10.77.1.2', v6: 'fd77:1::2' },
  routerToServer: { v4: '10.77.1.1', v6: 'fd77:1::1' },
  routerToClient: { v4: '10.77.2.1', v6: 'fd77:2::1' },
  clientLink: { v4: '10.77.2.2', v6: 'fd77:2::2' },
  clientBase: { v4: '10.78.0.0', v6: 'fd78::' },
} as const

/** How many addresses the client range holds: indices 0 to `MAX_CLIENTS - 1`. */
export const MAX_CLIENTS = 65_534

/** The same piece of the client range in both address families. */
export interface Block {
  readonly v4: string
  readonly v6: string
}

/**
 * The address of the client with this index in the range that starts at `base`. Index 0 is the
 * first address after `base` (`10.78.0.1`, `fd78::1`).
 *
 * @param base - an IPv4 address (`'127.1.0.0'`) or an IPv6 prefix that ends in `::` (`'fd78::'`)
 */
export function addressAt(base: string, index: number): string {
  if (!Number.isInteger(index) || index < 0 || index >= MAX_CLIENTS) {
    throw new RangeError(`client index ${index} is not an integer in 0..${MAX_CLIENTS - 1}`)
  }
  return addressAtOffset(base, index + 1)
}

function addressAtOffset(base: string, offset: number): string {
  if (base.endsWith('::')) return `${base}${offset === 0 ? '' : offset.toString(16)}`
  const parts = base.split('.').map(Number)
  if (parts.length !== 4 || !parts.every((part) => part >= 0 && part <= 255)) {
    throw new TypeError(`"${base}" is neither an IPv4 address nor an IPv6 prefix ending in "::"`)
  }
  const value = parts.reduce((sum, part) => sum * 256 + part, 0) + offset
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** The fewest aligned blocks that cover exactly these client indices. */
export function blocksOf(indices: Iterable<number>): Block[] {
  const offsets = [...new Set(indices)].map((index) => index + 1).sort((a, b) => a - b)
  const blocks: Block[] = []
  for (let at = 0; at < offsets.length; ) {
    const first = offsets[at] as number
    let run = 1
    while (offsets[at + run] === first + run) run++
    // The largest power of two that divides the start and fits into what is left of the run.
    const size = Math.min(first & -first, 2 ** Math.floor(Math.log2(run)))
    blocks.push(blockAt(first, size))
    at += size
  }
  return blocks
}

/**
 * Everything on the client side. The range comes as two halves, because a route for the whole of
 * it would collide with the router's ordinary route to the clients.
 */
export const EVERY_CLIENT: readonly Block[] = [
  blockAt(0, 2 ** 15),
  blockAt(2 ** 15, 2 ** 15),
  { v4: `${PLAN.clientLink.v4}/32`, v6: `${PLAN.clientLink.v6}/128` },
]

function blockAt(first: number, size: number): Block {
  const bits = Math.log2(size)
  return {
    v4: `${addressAtOffset(PLAN.clientBase.v4, first)}/${32 - bits}`,
    v6: `${addressAtOffset(PLAN.clientBase.v6, first)}/${128 - bits}`,
  }
}
