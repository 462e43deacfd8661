// A test process that will be killed: it prints the namespaces of its rig.
import { readlinkSync } from 'node:fs'
import { createRig } from 'tcp-sse/testing'

const rig = createRig()
const server = await rig.serve(new URL('./plain-server.ts', import.meta.url))
await rig.connect(server)
const spaces = rig.processes.map((pid) => readlinkSync(`/proc/${pid}/ns/net`))
console.log(JSON.stringify([...new Set(spaces)]))
