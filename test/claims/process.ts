// What every server process of the claims has: what went wrong in it, and a loop that can be blocked.

export const problems: string[] = []
for (const event of ['uncaughtException', 'unhandledRejection', 'warning'] as const) {
  process.on(event, (error: unknown) => problems.push(`${event}: ${error}`))
}

export function block(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}
