#!/usr/bin/env node
// The command `tcp-sse`: package.json, "bin".
import { TcpSseError } from '../internal/errors.js'
import { VERSION } from '../internal/shared.js'
import { UsageError } from './arguments.js'
import { doctor } from './doctor.js'
import { guard } from './guard.js'
import { HELP } from './help.js'
import { type Io, processIo } from './io.js'
import { top } from './top.js'

const COMMANDS: Readonly<Record<string, (args: readonly string[], io: Io) => Promise<number>>> = {
  guard,
  top,
  doctor,
}

/** @returns the exit status */
async function main([name, ...args]: readonly string[], io: Io): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const stream = name === undefined ? io.stderr : io.stdout
    stream.write(HELP)
    return name === undefined ? 2 : 0
  }
  if (name === '--version') {
    io.stdout.write(`${VERSION}\n`)
    return 0
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  try {
    if (command !== undefined) {
      const status = await command(args, io)
      const failure = io.failure()
      if (failure !== undefined) throw failure
      return status
    }
    const known = Object.keys(COMMANDS).join(', ')
    throw new UsageError(`Unknown command '${name}'. The commands are: ${known}.`)
  } catch (error) {
    const expected =
      error instanceof UsageError || error instanceof TcpSseError || isSystemError(error)
    if (!expected) throw error
    io.stderr.write(`tcp-sse: ${error.message}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

/** For example, the metrics port is already in use. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}

main(process.argv.slice(2), processIo()).then((status) => {
  process.exitCode = status
})
