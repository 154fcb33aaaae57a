/**
 * Commands in a stream: voice activity, gate, scores, threshold, refractory time, rejection.
 *
 * The twin of `kaggle_speech/streaming` (`chunks.py`, `gate.py`, `words.py`) and of `inference/answers.py`; streams with
 * their detections, replayed by both, keep the two equal. Every number comes from `settings.json`.
 */

export const SETTINGS_VERSION = 1;

/** Mean power in dB; a square wave of full scale has 0. */
export function levelDbfs(waveform, minLevel) {
  let power = 0;
  for (const sample of waveform) power += sample * sample;
  return power > 0 ? Math.max(10 * Math.log10(power / waveform.length), minLevel) : minLevel;
}

export function argmax(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** The last samples of a stream, the newest last; zeros at first. */
export class LastSamples {
  constructor(numSamples) {
    this.samples = new Float32Array(numSamples);
  }

  append(waveform) {
    const kept = waveform.subarray(Math.max(0, waveform.length - this.samples.length));
    this.samples.copyWithin(0, kept.length);
    this.samples.set(kept, this.samples.length - kept.length);
  }
}

/** Voice activity: energy above a noise floor that rises slowly and falls at once. */
export class VoiceActivity {
  constructor(settings) {
    this.settings = settings;
    this.reset();
  }

  reset() {
    this.floor = this.settings.min_dbfs;
    this.numQuiet = this.settings.hangover_hops;
  }

  /** Whether anything sounds, after a hop of this level. */
  update(level) {
    const { min_dbfs, rise_db, margin_db, hangover_hops } = this.settings;
    this.floor = Math.max(min_dbfs, Math.min(this.floor + rise_db, level));
    this.numQuiet = level > this.floor + margin_db ? 0 : this.numQuiet + 1;
    return this.numQuiet < hangover_hops;
  }
}

/** Gate: whether the last sound was spoken alone, with quiet before and after it. */
export class SpokenAlone {
  constructor(settings) {
    this.settings = settings;
    this.reset();
  }

  reset() {
    this.levels = new Array(this.settings.num_levels).fill(-Infinity);
    this.numHops = 0;
  }

  /** true or false; null while that is not known, because the sound lasts. */
  update(level) {
    const { max_hops, before_hops, after_hops, num_levels, range_db, margin_db } = this.settings;
    this.levels = [...this.levels.slice(1), level];
    this.numHops = Math.min(this.numHops + 1, num_levels);
    const peak = Math.max(...this.levels.slice(-max_hops - after_hops));
    const floor = Math.min(...this.levels.slice(-this.numHops));
    const limit = Math.max(peak - range_db, floor + margin_db);
    let last = -1;
    let start = -1;
    for (let hop = 0; hop < num_levels; hop++) {
      if (this.levels[hop] <= limit) continue;
      if (hop - last - 1 >= before_hops) start = hop;
      last = hop;
    }
    if (last < 0) return true;
    if (start < 0 || last - start >= max_hops) return false;
    return last < num_levels - after_hops ? true : null;
  }
}

/** Score of each label to report against all that are not; of these against the best label to report. */
export function scoreLabels(probabilities, isEvent) {
  const others = probabilities.filter((_, index) => !isEvent[index]);
  const best = Math.max(0, ...probabilities.filter((_, index) => isEvent[index]));
  return Array.from(probabilities, (probability, index) => {
    const rest = others.length ? sum(others) : 1 - probability;
    const root = Math.sqrt(probability);
    return root / Math.max(root + Math.sqrt(Math.max(isEvent[index] ? rest : best, 0)), 1e-12);
  });
}

/** Score that is high where the outputs are those of a command, from probabilities over the labels of the answers. */
const REJECTION_SCORES = {
  probability: (values, numCommands) => Math.max(...values.slice(0, numCommands)),
  known: (values, numCommands) => sum(values.slice(0, numCommands)),
  entropy: (values, numCommands) => {
    const commands = values.slice(0, numCommands);
    const share = (1 - sum(commands)) / numCommands;
    return sum(commands.map((value) => Math.max(value + share, 1e-12)).map((value) => value * Math.log(value)));
  },
  margin: (values, numCommands) => {
    const best = argmax(values.slice(0, numCommands));
    return values[best] - Math.max(...values.filter((_, index) => index !== best));
  },
};

/** The answer to the probabilities of a second: a number of `targets`, or -1 for a command that is rejected. */
export function answer(probabilities, { score, temperature, threshold, targets, num_labels, num_commands }) {
  const powers = Array.from(probabilities, (value) => (temperature === 1 ? value : value ** (1 / temperature)));
  const total = temperature === 1 ? 1 : sum(powers);
  const values = new Array(num_labels).fill(0);
  powers.forEach((power, index) => (values[targets[index]] += power / total));
  const isRejected = threshold !== null && REJECTION_SCORES[score](values, num_commands) < threshold;
  return isRejected ? -1 : argmax(values);
}

/** Smoothed scores to detections, one for each word. */
export class Trigger {
  constructor(settings, vocabulary, isEvent, rejection) {
    Object.assign(this, { settings, vocabulary, isEvent, rejection, threshold: settings.threshold });
    this.answers = rejection.targets.filter((_, index) => isEvent[index]); // those that are reported
    this.reset();
  }

  reset() {
    this.reported = null;
    this.lastTime = -Infinity;
    this.leader = null;
    this.numHops = 0;
  }

  /** A detection `{time_s, label, confidence}`, or null. */
  step(time, scores, probabilities, isAlone) {
    const { min_hops, min_gap_s, release } = this.settings;
    if (this.reported !== null && scores[this.reported] < release * this.threshold) this.reported = null;
    const index = argmax(scores);
    if (scores[index] < this.threshold) {
      this.leader = null;
      return null;
    }
    this.numHops = index === this.leader ? this.numHops + 1 : 1;
    this.leader = index;
    const isEarly = this.numHops < min_hops || time - this.lastTime < min_gap_s - 1e-9;
    if (isEarly || !isAlone || index === this.reported || !this.isEvent[index]) return null;
    if (!this.answers.includes(answer(probabilities, this.rejection))) return null;
    this.reported = index;
    this.lastTime = time;
    return { time_s: time, label: this.vocabulary[index], confidence: scores[index] };
  }
}

/** Detector of commands in a stream: chunks of any size in, detections out. */
export class StreamingRecogniser {
  /** `predict` is given the last second, and promises its probabilities. */
  constructor(settings, predict) {
    this.settings = settings;
    this.predict = predict;
    const { vocabulary, events } = settings;
    this.isEvent = vocabulary.map((label) => events.includes(label));
    this.trigger = new Trigger(settings.trigger, vocabulary, this.isEvent, settings.rejection);
    this.activity = new VoiceActivity(settings.activity);
    this.gate = settings.gate && new SpokenAlone(settings.gate);
    this.reset();
  }

  reset() {
    const { quiet, min_level_dbfs, clip_samples } = this.settings;
    this.last = new LastSamples(clip_samples);
    this.numProcessed = 0;
    this.numSkipped = 0; // samples that were lost
    this.numAsked = 0;
    this.level = min_level_dbfs;
    this.isActive = false;
    this.isAlone = true;
    this.scores = scoreLabels(quiet, this.isEvent);
    this.trigger.reset();
    this.activity.reset();
    this.gate?.reset();
  }

  /** Seconds of the stream so far, skipped ones included. */
  get time() {
    return (this.numProcessed + this.numSkipped) / this.settings.sample_rate;
  }

  /** Detections in the next chunk. */
  async process(chunk) {
    const { hop_samples, min_level_dbfs, quiet } = this.settings;
    const detections = [];
    for (let start = 0; start < chunk.length; ) {
      const part = chunk.subarray(start, start + hop_samples - (this.numProcessed % hop_samples));
      this.last.append(part);
      this.numProcessed += part.length;
      start += part.length;
      if (this.numProcessed % hop_samples) continue;
      this.judge(levelDbfs(this.last.samples.subarray(-hop_samples), min_level_dbfs));
      const probabilities = this.isActive ? await this.predict(this.last.samples.slice()) : quiet;
      this.numAsked += this.isActive;
      const detection = this.report(probabilities);
      if (detection) detections.push(detection);
    }
    return detections;
  }

  /** First half of a hop: whether the model is to be evaluated, and whether a command was spoken alone. */
  judge(level) {
    this.level = level;
    this.isActive = this.activity.update(level) || !this.settings.skip_silence;
    this.isAlone = this.gate ? this.gate.update(level) : true;
  }

  /** Second half of a hop: a detection, or null. */
  report(probabilities) {
    const { smoothing } = this.settings;
    const fresh = scoreLabels(probabilities, this.isEvent);
    this.scores = this.scores.map((score, index) => smoothing * score + (1 - smoothing) * fresh[index]);
    return this.trigger.step(this.time, this.scores, probabilities, this.isAlone);
  }
}
