/** Sound to numbers: other sample rates, mono, and the spectrogram of the last seconds. */

/** Mean of the channels. */
export function toMono(channels) {
  return channels[0].map((_, index) => channels.reduce((total, channel) => total + channel[index], 0) / channels.length);
}

/** Converter of chunks from one sample rate to another by a windowed sinc, independent of the cuts. */
export class Resampler {
  constructor(fromRate, toRate, numZeros = 32) {
    this.step = fromRate / toRate;
    this.cutoff = 0.97 * Math.min(1, toRate / fromRate);
    this.radius = Math.ceil(numZeros / this.cutoff);
    this.past = new Float32Array(this.radius); // samples before the first
    this.position = this.radius; // of the next output, in `past`
    this.kernels = new Map();
  }

  /** Weights of the samples around a position, by its fraction; common rates have few fractions. */
  kernel(fraction) {
    const key = Math.round(1e6 * fraction);
    const weigh = (_, index) => {
      const distance = index - this.radius + 1 - fraction;
      const angle = Math.PI * this.cutoff * distance;
      const window = Math.cos((Math.PI / 2) * (distance / this.radius)) ** 2;
      return Math.abs(angle) < 1e-9 ? this.cutoff : (this.cutoff * window * Math.sin(angle)) / angle;
    };
    if (this.kernels.size > 1000) this.kernels.clear();
    if (!this.kernels.has(key)) this.kernels.set(key, Float64Array.from({ length: 2 * this.radius }, weigh));
    return this.kernels.get(key);
  }

  convert(chunk) {
    if (this.step === 1) return chunk;
    const samples = new Float32Array(this.past.length + chunk.length);
    samples.set(this.past);
    samples.set(chunk, this.past.length);
    const output = [];
    for (; this.position + this.radius < samples.length; this.position += this.step) {
      const first = Math.floor(this.position + 1e-9);
      const weights = this.kernel(Math.max(0, this.position - first));
      const start = first - this.radius + 1;
      let value = 0;
      for (let index = 0; index < weights.length; index++) value += weights[index] * samples[start + index];
      output.push(value);
    }
    const numDone = Math.max(0, Math.floor(this.position) - this.radius);
    this.past = samples.slice(numDone);
    this.position -= numDone;
    return Float32Array.from(output);
  }
}

/** Power at the frequencies 0 to half the sample rate, by a fast Fourier transform of a power of two. */
export function powerSpectrum(frame, size) {
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  const bits = Math.log2(size);
  frame.forEach((sample, index) => {
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++) reversed |= ((index >> bit) & 1) << (bits - 1 - bit);
    real[reversed] = sample;
  });
  for (let half = 1; half < size; half *= 2) {
    for (let offset = 0; offset < half; offset++) {
      const [cosine, sine] = [Math.cos((-Math.PI * offset) / half), Math.sin((-Math.PI * offset) / half)];
      for (let even = offset; even < size; even += 2 * half) {
        const odd = even + half;
        const turnedReal = real[odd] * cosine - imaginary[odd] * sine;
        const turnedImaginary = real[odd] * sine + imaginary[odd] * cosine;
        [real[even], real[odd]] = [real[even] + turnedReal, real[even] - turnedReal];
        [imaginary[even], imaginary[odd]] = [imaginary[even] + turnedImaginary, imaginary[even] - turnedImaginary];
      }
    }
  }
  return Float64Array.from({ length: size / 2 + 1 }, (_, bin) => real[bin] ** 2 + imaginary[bin] ** 2);
}

/** Log-mel spectrogram of the last seconds of a stream, one frame after the other. */
export class Spectrogram {
  /** `settings`: entry `spectrogram` of `settings.json`; `numSamples`: length of the picture. */
  constructor(settings, numSamples) {
    this.settings = settings;
    this.window = Float64Array.from(
      { length: settings.frame_length },
      (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / settings.frame_length),
    );
    this.numFrames = 1 + Math.floor((numSamples - settings.frame_length) / settings.frame_step);
    this.reset();
  }

  reset() {
    const silence = new Array(this.settings.filters.length).fill(10 * Math.log10(this.settings.min_power));
    this.frames = new Array(this.numFrames).fill(silence); // decibels, the newest last
    this.rest = new Float32Array(0);
  }

  append(waveform) {
    const { frame_length, frame_step, fft_length, filters, min_power } = this.settings;
    const samples = new Float32Array(this.rest.length + waveform.length);
    samples.set(this.rest);
    samples.set(waveform, this.rest.length);
    let start = 0;
    for (; start + frame_length <= samples.length; start += frame_step) {
      const frame = samples.subarray(start, start + frame_length).map((sample, index) => sample * this.window[index]);
      const power = powerSpectrum(frame, fft_length);
      const decibels = filters.map(([first, ...weights]) =>
        10 * Math.log10(Math.max(min_power, weights.reduce((total, weight, bin) => total + weight * power[first + bin], 0))),
      );
      this.frames.push(decibels);
    }
    this.rest = samples.slice(start);
    this.frames.splice(0, this.frames.length - this.numFrames);
  }

  /** Levels from 0 to 1, frame after frame; 1 is the maximum, but no less than `min_top_db`. */
  levels() {
    const { range_db, min_top_db } = this.settings;
    const top = Math.max(min_top_db, ...this.frames.map((frame) => Math.max(...frame)));
    return this.frames.map((frame) => frame.map((level) => Math.min(1, Math.max(0, (level - top) / range_db + 1))));
  }
}

/**
 * Count of the samples on their way through the worker. Where too many wait, chunks are dropped until none waits, so
 * that words between two gaps are whole.
 */
export class Backlog {
  constructor(maxSamples) {
    this.maxSamples = maxSamples;
    this.reset();
  }

  reset() {
    Object.assign(this, { numWaiting: 0, numMissing: 0, numDropped: 0, isDropping: false });
  }

  /** Samples lost just before a chunk, which is on its way now; null where it is dropped. A last chunk never is. */
  add(numSamples, isLast = false) {
    this.isDropping = this.numWaiting > 0 && (this.isDropping || this.numWaiting + numSamples > this.maxSamples);
    if (this.isDropping && !isLast) {
      this.numDropped += 1;
      this.numMissing += numSamples;
      return null;
    }
    const numMissing = this.numMissing;
    this.numMissing = 0;
    this.numWaiting += numSamples;
    return numMissing;
  }

  /** The worker has processed so many samples. */
  done(numSamples) {
    this.numWaiting -= numSamples;
  }
}
