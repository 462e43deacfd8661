// Builds native/ into build/Release/addon.node with node-gyp, the copy inside npm:
// start it as `npm run build:gyp`, which puts that copy on the PATH.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from './lib.mjs'

// Node's own headers, if they are installed next to it, spare a download.
const prefix = dirname(dirname(process.execPath))
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h'))
run('node-gyp', ['rebuild', ...(headers ? [`--nodedir=${prefix}`] : [])])
