// The program that is a path where the kernel has no netem (pipe.c).
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Namespace } from '../../src/testing/namespace.js'
import { cProgram } from './c-program.js'

/** A running pipe. */
export interface Pipe {
  /** Says one line and settles with the answer. */
  say(line: string): Promise<string>
  close(): void
}

/** Starts a pipe between two namespaces. It ends when this process does. */
export async function startPipe(near: Namespace, far: Namespace, device: string): Promise<Pipe> {
  const netns = (namespace: Namespace): string => `/proc/${namespace.id}/ns/net`
  const command = [...near.prefix, cProgram('pipe'), netns(near), netns(far), device]
  const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(line))
  const end = (why: string): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the pipe has ended: ${why}`))
  }
  child.on('error', ({ message }) => end(message))
  child.on('close', (code, signal) => end(stderr.trim() || String(signal ?? code)))
  const answer = (): Promise<string> =>
    new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  await answer()
  return {
    say(line) {
      child.stdin.write(`${line}\n`)
      return answer()
    },
    close: () => void child.kill('SIGKILL'),
  }
}
