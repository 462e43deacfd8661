/**
 * A fault rig for tests: clients that vanish, stall, read slowly, reset and half-close. It works
 * with any test framework and any server.
 *
 * @packageDocumentation
 */

export type * from '../hub/hub.js'
export { answer, ChildProcessHandle, startProcess } from './child-process.js'
export { type ConnectOptions, connectClient, LoopbackClient, type TestClient } from './client.js'
export { type HubContractOptions, hubContract } from './hub-contract.js'
export type { Reading, Received } from './reader.js'
export { createRig, Rig, rigMissing } from './rig.js'
export { RigClient } from './rig-client.js'
export type { NarrowLink, RigOptions } from './rig-options.js'
export type { Clients, Fault } from './routes.js'
export type { RigServer } from './server.js'
