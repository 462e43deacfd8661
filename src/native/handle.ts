// Notifies an occupant before a connection's handle is written to, transferred or closed.
//
// One object is inserted between Node's handles and their TCP prototype, so that Node's calls on a handle pass through
// here first. An occupant may keep a descriptor until it is notified, which happens in the same call that closes the
// descriptor.
import type { Socket } from 'node:net'
import { handleOf } from './binding.js'

/** Owns bytes that must be sent first, or a copy of the handle's descriptor. */
export interface Occupant {
  /**
   * Called before the handle does anything. The occupant must send all waiting bytes and drop its copy of the
   * descriptor.
   */
  onTouch(): void
}

type Method = (this: Handle, ...args: unknown[]) => unknown
type Methods = Record<string, Method>

interface Handle {
  [OCCUPANT]?: Occupant | undefined
}

const OCCUPANT = Symbol('tcp-sse.occupant')

/** All methods that end a handle or write to it, in Node 20 to 26. */
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

/** Node's prototype of TCP handles, once one has been seen, and this library's object above it. */
let known: { readonly nodes: object; readonly ours: object } | undefined

/**
 * From now on, `occupant` is notified before the socket's handle is used. The previous occupant is notified now.
 *
 * @returns whether this is possible: `false` if the handle is not one of Node's TCP handles in the known form
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

/** Removes `occupant`, unless another one has replaced it. */
export function vacate(socket: Socket, occupant: Occupant): void {
  const handle = handleOf(socket) as Handle | null | undefined
  if (handle?.[OCCUPANT] === occupant) handle[OCCUPANT] = undefined
}

/** Whether this is the prototype of Node's TCP handles, with every method that must pass through here. */
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
  // Node replaces `onread` when it takes a handle off its socket, to close it or to send it to a child process.
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
