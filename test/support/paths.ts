// Paths with delay, loss, reordering, a rate and a queue, for single clients of a rig: netem where the kernel has it, else a
// program between two TUN devices.
import type { Rig } from '../../src/testing/index.js'
import type { Namespace } from '../../src/testing/namespace.js'
import type { Spaces } from '../../src/testing/wiring.js'
import { type Pipe, startPipe } from './pipe.js'
import { netemLines, pipeLine, type Shape } from './shape.js'

/** A path that some clients of a rig have, in place of the rig's cable. The router's cuts hold for it, too. */
export interface Path {
  readonly by: 'netem' | 'pipe'
  /** Another shape from now on. What is on its way is not touched. */
  reshape(shape: Shape): Promise<void>
}

/** A rig's namespaces, and how many paths it has. */
interface Paths {
  readonly spaces: Spaces
  count: number
}

const rigs = new WeakMap<Rig, Paths>()

/** Leads clients of a rig, by their numbers, over a path of their own. */
export async function addPath(rig: Rig, clients: readonly number[], shape: Shape): Promise<Path> {
  const paths = rigs.get(rig) ?? prepared(rig)
  const number = paths.count++
  const { spaces } = paths
  const device = `path${number}`
  const by = hasNetem(spaces.router) ? 'netem' : 'pipe'
  const pipe = by === 'pipe' ? await startPipe(spaces.router, spaces.clients, device) : undefined
  if (pipe !== undefined) rig.extend(() => pipe)
  const addresses = clients.map((index) => rig.clientAddress(index))
  wire(spaces, device, number, addresses, by)
  const path = { by, reshape: (next: Shape) => shapeIt(spaces, device, pipe, next) } as const
  await path.reshape(shape)
  return path
}

function prepared(rig: Rig): Paths {
  const { spaces } = rig.extend((spaces) => ({ spaces, close() {} }))
  const paths = { spaces, count: 0 }
  rigs.set(rig, paths)
  // Else up to 64 KB travel as one packet between virtual devices, and are delayed, lost and queued as one.
  const { server, router, clients } = spaces
  for (const space of [server, clients]) space.ip(['link set eth0 gso_max_segs 1'])
  router.ip(['server', 'clients'].map((device) => `link set ${device} gso_max_segs 1`))
  return paths
}

let netem: boolean | undefined

function hasNetem(space: Namespace): boolean {
  if (netem !== undefined) return netem
  try {
    space.run(['tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'])
    space.run(['tc', 'qdisc', 'del', 'dev', 'lo', 'root'])
    netem = true
  } catch {
    netem = false
  }
  return netem
}

/** Device, addresses and routes. A route's metric is that of the rig's narrow link, so that a cut is stronger. */
function wire(
  { router, clients }: Spaces,
  device: string,
  number: number,
  addresses: readonly string[],
  by: Path['by'],
): void {
  const near = `10.81.${number}.1`
  const far = `10.81.${number}.2`
  const table = 100 + number
  const up = [`link set ${device} mtu 1500 gso_max_segs 1`, `link set ${device} up`]
  const cable = `link add ${device} type veth peer name ${device} netns ${clients.id}`
  router.ip(
    [
      ...(by === 'netem' ? [cable] : []),
      `addr add ${near}/24 dev ${device}`,
      ...up,
      ...addresses.map((address) => `route add ${address}/32 via ${far} dev ${device} metric 2`),
    ],
    ['-4'],
  )
  clients.ip(
    [
      `addr add ${far}/24 dev ${device}`,
      ...up,
      `route add default via ${near} dev ${device} table ${table}`,
      ...addresses.map((address) => `rule add from ${address} lookup ${table}`),
    ],
    ['-4'],
  )
}

async function shapeIt(
  { router, clients }: Spaces,
  device: string,
  pipe: Pipe | undefined,
  shape: Shape,
): Promise<void> {
  for (const direction of ['towards', 'from'] as const) {
    if (pipe === undefined) {
      const space = direction === 'towards' ? router : clients
      space.run(['tc', '-batch', '-'], netemLines(shape, direction, device))
    } else {
      const reply = await pipe.say(pipeLine(shape, direction))
      if (reply !== 'ok') throw new Error(`the pipe says '${reply}'`)
    }
  }
}
