// Who is told before a connection's handle is written to, handed over or closed.
//
// One object stands between Node's handles and their TCP prototype, so that what Node calls on a handle comes through here
// first. A descriptor may be kept for as long as its occupant has not been told: in the same call that closes it, it is.
import type { Socket } from 'node:net'
import { handleOf } from './binding.js'

/** Has a claim on a handle: bytes that must go first, or a copy of its descriptor. */
export interface Occupant {
  /** Called before the handle does anything. Everything that waits is sent, and no copy of the descriptor kept. */
  onTouch(): void
}

type Method = (this: Handle, ...args: unknown[]) => unknown
type Methods = Record<string, Method>

interface Handle {
  [OCCUPANT]?: Occupant | undefined
}

const OCCUPANT = Symbol('tcp-sse.occupant')

/** All that ends a handle or writes to it, in Node 20 to 26. */
const TOUCHING = [
  'close',
  'reset',
  'shutdown',
  'writev',
  'writeBuffer',
  'writeUtf8String',
  'writeAsciiString',
  'writeLatin1String',
  'writeUcs2String',
]

/** Node's prototype of TCP handles, once one has been seen, and ours above it. */
let known: { readonly nodes: object; readonly ours: object } | undefined

/**
 * From now on `occupant` is told before the socket's handle is touched. Another that had a claim is told now.
 *
 * @returns whether that is possible: not where the handle is none of Node's TCP handles as they are known
 */
export function occupy(socket: Socket, occupant: Occupant): boolean {
  const handle = handleOf(socket) as Handle | null | undefined
  if (handle === null || handle === undefined) return false
  const prototype = Object.getPrototypeOf(handle)
  if (prototype !== known?.ours) {
    if (!isNodes(prototype)) return false
    known ??= { nodes: prototype, ours: between(prototype) }
    Object.setPrototypeOf(handle, known.ours)
  }
  const before = handle[OCCUPANT]
  handle[OCCUPANT] = occupant
  if (before !== occupant) before?.onTouch()
  return true
}

/** Ends that, if no other occupant has come since. */
export function vacate(socket: Socket, occupant: Occupant): void {
  const handle = handleOf(socket) as Handle | null | undefined
  if (handle?.[OCCUPANT] === occupant) handle[OCCUPANT] = undefined
}

/** Whether it is the prototype of Node's TCP handles, and has every method that is to come through here. */
function isNodes(prototype: Methods): boolean {
  if (known !== undefined) return prototype === known.nodes
  const isTcp = Object.hasOwn(prototype, 'constructor') && prototype.constructor?.name === 'TCP'
  return isTcp && TOUCHING.every((name) => typeof prototype[name] === 'function')
}

function between(nodes: Methods): object {
  const ours = Object.create(nodes)
  for (const name of TOUCHING) {
    const through: Method = function (...args) {
      this[OCCUPANT]?.onTouch()
      return (nodes[name] as Method).apply(this, args)
    }
    Object.defineProperty(ours, name, { value: through, writable: true, configurable: true })
  }
  // Replaced when a handle is taken off its socket: to be closed, or to be sent to a child process.
  Object.defineProperty(ours, 'onread', {
    get(this: Handle) {
      return Reflect.get(nodes, 'onread', this)
    },
    set(this: Handle, listener: unknown) {
      this[OCCUPANT]?.onTouch()
      Reflect.set(nodes, 'onread', listener, this)
    },
    configurable: true,
  })
  return ours
}
