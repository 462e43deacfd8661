/**
 * The fault rig: a server and its clients in network namespaces of their own, with a router between
 * them whose links fail on command, and a client program with every bad habit a client can have.
 * Linux only; as root, or as an ordinary user where user namespaces are allowed.
 *
 * @packageDocumentation
 */
export { addressAt } from './addresses.js'
export type {
  ClientMethods,
  ClientStatus,
  OpenOptions,
  ReadMode,
  WaitCondition,
} from './client/types.js'
export type { Target } from './cut-table.js'
export type { Side, Sysctls } from './network.js'
export {
  type AnyMethods,
  Peer,
  type PeerExit,
  type SpawnPeerOptions,
  spawnLocal,
} from './peer.js'
export {
  type ClientsPeer,
  clientsModule,
  createRig,
  type FaultTimes,
  Rig,
  type RigOptions,
} from './rig.js'
export { type Methods, serveRpc } from './rpc.js'
export { type RigMode, type RigSupport, rigSupport } from './support.js'
export { type UntilOptions, until } from './until.js'
