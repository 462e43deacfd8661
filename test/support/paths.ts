// Paths with delay, loss, reordering, a rate and a queue, for single clients of a rig: netem where the kernel has it, else a
// program between two TUN devices.
import type { Rig } from '../../src/testing/index.js'
import type { Namespace } from '../../src/testing/namespace.js'
import type { Spaces } from '../../src/testing/wiring.js'
import { type Pipe, startPipe } from './pipe.js'
import { netemCommands, pipeLine, type Shape } from './shape.js'

/** A path that some clients of a rig have, in place of the rig's cable. The router's cuts hold for it, too. */
export interface Path {
  readonly by: 'netem' | 'pipe'
  /** Another shape from now on. What is on its way is not touched. */
  reshape(shape: Shape): Promise<void>
}

const paths = new WeakMap<Rig, number>()

/** Leads clients of a rig, by their numbers, over a path of their own. */
export async function addPath(rig: Rig, clients: readonly number[], shape: Shape): Promise<Path> {
  const number = paths.get(rig) ?? 0
  paths.set(rig, number + 1)
  const device = `path${number}`
  const spaces = spacesOf(rig)
  const by = hasNetem(spaces.router) ? 'netem' : 'pipe'
  const pipe = by === 'pipe' ? await startPipe(spaces.router, spaces.clients, device) : undefined
  if (pipe === undefined) {
    spaces.router.ip([
      `link add ${device} type veth peer name ${device} netns ${spaces.clients.id}`,
    ])
  } else rig.extend(() => pipe)
  const path = { by, reshape: (next: Shape) => shapeIt(spaces, device, pipe, next) } as const
  oneSegmentAPacket(spaces)
  wire(spaces, device, number)
  await path.reshape(shape)
  lead(rig, spaces, device, number, clients)
  return path
}

function spacesOf(rig: Rig): Spaces {
  return rig.extend((spaces) => ({ spaces, close() {} })).spaces
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

/** Else up to 64 KB travel as one packet between virtual devices, and are delayed, lost and queued as one. */
function oneSegmentAPacket({ server, router, clients }: Spaces): void {
  for (const space of [server, clients]) space.ip(['link set eth0 gso_max_segs 1'])
  for (const device of ['server', 'clients']) router.ip([`link set ${device} gso_max_segs 1`])
}

const routerAddress = (number: number): string => `10.81.${number}.1`
const clientsAddress = (number: number): string => `10.81.${number}.2`
const table = (number: number): number => 100 + number

function wire({ router, clients }: Spaces, device: string, number: number): void {
  const up = [`link set ${device} mtu 1500`, `link set ${device} up`]
  router.ip([`addr add ${routerAddress(number)}/24 dev ${device}`, ...up], ['-4'])
  clients.ip(
    [
      `addr add ${clientsAddress(number)}/24 dev ${device}`,
      ...up,
      `route add default via ${routerAddress(number)} dev ${device} table ${table(number)}`,
    ],
    ['-4'],
  )
  for (const space of [router, clients]) space.ip([`link set ${device} gso_max_segs 1`])
}

/** The metric is that of the rig's narrow link: a cut is stronger. */
function lead(
  rig: Rig,
  { router, clients }: Spaces,
  device: string,
  number: number,
  indexes: readonly number[],
): void {
  const addresses = indexes.map((index) => rig.clientAddress(index))
  router.ip(
    addresses.map(
      (address) => `route add ${address}/32 via ${clientsAddress(number)} dev ${device} metric 2`,
    ),
    ['-4'],
  )
  clients.ip(
    addresses.map((address) => `rule add from ${address} lookup ${table(number)}`),
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
      for (const command of netemCommands(shape, direction, device)) space.run(['tc', ...command])
    } else {
      const reply = await pipe.say(pipeLine(shape, direction))
      if (reply !== 'ok') throw new Error(`the pipe says '${reply}'`)
    }
  }
}
