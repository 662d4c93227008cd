/** Shows the progress of `socket-tuner stress`: as a panel on a terminal, elsewhere as lines. */
import type { StressPlan, StressRun, StressSnapshot } from '../stress'
import { lookOf } from './look'
import { ProgressLine } from './progress-line'
import { Screen, canDraw } from './screen'
import { panelLines, type PanelProgress, type PanelState } from './stress-panel'
import { perSecond, snapshotLine } from './stress-report'
import { count, wrap } from './text'

/** The position of a round among those of a command. A command without rounds has one. */
export interface RoundPlace {
  /** Its name in the panel; undefined if it is the only one. */
  readonly name: string | undefined
  /** The number of rounds before it. */
  readonly ended: number
  readonly of: number
}

/** A round that has ended, as cells of a table. */
export interface RoundCells {
  readonly cells: readonly string[]
  /** `l` or `r` for each cell. */
  readonly sides: string
}

/** `connect`: the run has no snapshot yet. */
type PanelStage = StressSnapshot['stage'] | 'connect'

/** Rates that the panel remembers: more than the widest chart has. */
const MOST_RATES = 200

export class StressProgress {
  readonly #line: ProgressLine
  readonly #screen: Screen | undefined
  readonly #startMs = performance.now()
  #url = ''
  #plan: StressPlan | undefined
  #place: RoundPlace = { name: undefined, ended: 0, of: 1 }
  #snapshot: StressSnapshot | undefined
  #stage: PanelStage = 'connect'
  #second = 0
  #measured = { ms: 0, answered: 0 }
  #failed = 0
  readonly #rates: number[] = []
  readonly #rounds: RoundCells[] = []
  readonly #notes: string[] = []
  readonly #warnings: string[] = []
  #isEnding = false
  #isOver = false
  readonly #onWarning = (warning: Error & { code?: string }): void => {
    const { code, message } = warning
    this.#warnings.push(`${code === undefined ? '' : `${code}: `}${message}`)
    // Node has written it into the panel.
    this.#draw()
  }
  readonly #draw = (): void => {
    if (this.#screen === undefined || this.#plan === undefined) return
    const look = lookOf(process.stdout, process.env)
    this.#screen.draw(panelLines(this.#stateOf(this.#plan), look, this.#screen.height))
  }

  /**
   * @param isSilent shows nothing at all
   * @param notes texts that the panel shows below the figures
   * @param quit called when the user presses Control-C, which is no signal while the panel is shown
   */
  constructor(isSilent: boolean, notes: readonly string[], quit: () => void) {
    this.#line = new ProgressLine(process.stdout, isSilent)
    this.#notes.push(...notes)
    if (isSilent || !canDraw(process.stdout, process.env)) return
    const terminal = { output: process.stdout, input: process.stdin }
    this.#screen = new Screen(terminal, quit, this.#draw)
    process.on('warning', this.#onWarning)
  }

  /** Follows a run to its end, however it ends. Without a panel, only a run without a name prints lines. */
  async follow(
    run: StressRun,
    url: string,
    plan: StressPlan,
    place: RoundPlace = this.#place,
  ): Promise<void> {
    this.#url = url
    this.#plan = plan
    this.#place = place
    this.#snapshot = undefined
    this.#stage = 'connect'
    this.#measured = { ms: 0, answered: 0 }
    this.#draw()
    try {
      for await (const snapshot of run) this.#take(snapshot)
    } catch {
      // The result rejects too.
    }
  }

  /** Shows a round that has ended. */
  round(round: RoundCells): void {
    this.#rounds.push(round)
    if (this.#screen === undefined) this.#line.step(round.cells.join('  '))
    else this.#draw()
  }

  /** The user has ended the command, which waits for the last answers. */
  ending(): void {
    this.#isEnding = true
    this.#draw()
  }

  /** Restores the terminal. */
  end(): void {
    this.#line.clear()
    if (this.#screen === undefined || this.#isOver) return
    this.#isOver = true
    process.off('warning', this.#onWarning)
    this.#screen.leave()
    // The screen on which Node has printed them is gone.
    if (!process.stderr.isTTY) return
    for (const text of this.#warnings) process.stderr.write(`${wrap(text, '').join('\n')}\n`)
  }

  #take(snapshot: StressSnapshot): void {
    const { stage, second, intervalMs, answered, failed } = snapshot
    this.#stage = stage
    this.#second = second
    // While the last answers are waited for, the panel keeps the figures of the measured time.
    if (stage !== 'drain' || this.#snapshot === undefined) this.#snapshot = snapshot
    this.#failed += failed
    if (stage === 'measure') {
      this.#measured.ms += intervalMs
      this.#measured.answered += answered
    }
    // The last answers are no rate.
    if (stage !== 'drain') this.#rates.push(perSecond(snapshot, answered))
    if (this.#rates.length > MOST_RATES) this.#rates.shift()
    if (this.#screen !== undefined) this.#draw()
    else if (this.#place.name === undefined) this.#line.step(snapshotLine(snapshot))
  }

  #stateOf(plan: StressPlan): PanelState {
    return {
      url: this.#url,
      plan,
      progress: this.#progressOf(plan),
      snapshot: this.#snapshot,
      failed: this.#failed,
      rates: this.#rates,
      rounds: this.#rounds.map(({ cells }) => cells),
      roundSides: this.#rounds[0]?.sides ?? '',
      notes: [...this.#notes, ...this.#warnings],
      isEnding: this.#isEnding,
    }
  }

  #progressOf(plan: StressPlan): PanelProgress {
    const { name, ended, of } = this.#place
    const { text, share, secondsLeft } = runProgress(
      plan,
      this.#stage,
      this.#second,
      this.#measured,
    )
    if (name === undefined) return { text, share, secondsLeft }
    const done = ended + share
    const elapsed = (performance.now() - this.#startMs) / 1_000
    // The others take as long as those before them.
    const left = done > 0 ? (elapsed * (of - done)) / done : undefined
    return { text: name, share: done / of, secondsLeft: left }
  }
}

/**
 * Returns the progress of a run.
 *
 * @param second since the start of the run, warm-up included
 * @param measured the snapshots of its measured time together
 */
export function runProgress(
  { durationMs, amount, warmupMs }: StressPlan,
  stage: PanelStage,
  second: number,
  measured: { readonly ms: number; readonly answered: number },
): PanelProgress {
  const warmup = warmupMs / 1_000
  const duration = durationMs === null ? Infinity : durationMs / 1_000
  if (stage === 'connect')
    return { text: 'connecting', share: 0, secondsLeft: ifFinite(warmup + duration) }
  if (stage === 'drain') return { text: 'waiting for the last answers', share: 1, secondsLeft: 0 }
  if (stage === 'warm-up')
    return {
      text: `warm-up: ${second.toFixed(0)} s of ${String(warmup)} s`,
      share: duration === Infinity ? 0 : second / (warmup + duration),
      secondsLeft: ifFinite(warmup - second + duration),
    }
  const { ms, answered } = measured
  const byTime = { share: second / (warmup + duration), left: duration - ms / 1_000 }
  if (amount === null)
    return {
      text: `measuring: ${(ms / 1_000).toFixed(0)} s of ${String(duration)} s`,
      share: byTime.share,
      secondsLeft: Math.max(0, byTime.left),
    }
  const left = answered > 0 ? ((amount - answered) * ms) / answered / 1_000 : Infinity
  return {
    text: `measuring: ${count(answered)} of ${count(amount)} requests`,
    share: Math.max(answered / amount, byTime.share),
    secondsLeft: ifFinite(Math.max(0, Math.min(left, byTime.left))),
  }
}

function ifFinite(seconds: number): number | undefined {
  return seconds === Infinity ? undefined : seconds
}
