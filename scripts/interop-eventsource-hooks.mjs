// Loaded before the test file of npm's `eventsource`, which stays as it is: its server is ours, its client the one asked for.
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const { INTEROP_SERVER, INTEROP_CLIENT, INTEROP_SINON } = process.env

/** What the tests import, and what they get. */
const instead = {
  '../server.js': INTEROP_SERVER,
  '../src/index.js': INTEROP_CLIENT,
  sinon: INTEROP_SINON,
}

registerHooks({
  resolve(specifier, context, next) {
    const path = context.parentURL?.includes('/test/') ? instead[specifier] : undefined
    return next(path === undefined ? specifier : pathToFileURL(path).href, context)
  },
})
