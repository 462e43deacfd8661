// For tests with bounds of time: their processes, and those that they start, get a busy machine's processor first. What is tried is
// when the library acts, and not when the scheduler lets it.
import { setPriority } from 'node:os'

try {
  setPriority(-5)
} catch {
  // It needs CAP_SYS_NICE. Without it the bounds hold on a machine that is not busy.
}
