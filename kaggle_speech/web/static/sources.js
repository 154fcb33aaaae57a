/** Sources of sound: microphone and file. Each gives chunks at 16 kHz, mono, until it is stopped or ends. */

import { Resampler, toMono } from "./signal.js";

const USUAL_RATE = 48000;

/** Why there is no sound, in words for the user. */
const REASONS = {
  NotAllowedError: "The browser refused the microphone. Allow it beside the address of the page, then press Start; or play a file.",
  NotFoundError: "No microphone was found. Plug one in and press Start; or play a file.",
  OverconstrainedError: "The chosen microphone is gone. Choose another one and press Start; or play a file.",
  NotReadableError: "The microphone is in use by another program, or switched off. Free it and press Start; or play a file.",
};
const NOT_SECURE = "The page is not secure, so the browser gives it no microphone. Open it by https:// or on localhost; a file can be played here.";
const NOT_PASSED_ON = "The page around this one does not pass the microphone on. Play a file here, or open the page by itself: `kaggle-speech page --serve`.";

/** Why no microphone can be had whatever the user does; null where one may be. */
export function microphoneObstacle() {
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) return NOT_SECURE;
  const isPassedOn = (document.permissionsPolicy ?? document.featurePolicy)?.allowsFeature("microphone") ?? true;
  return isPassedOn ? null : NOT_PASSED_ON;
}

/** Microphones as `{deviceId, label}`; their names are known after the first permission. */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter(({ kind, deviceId, label }) => kind === "audioinput" && deviceId !== "default" && label);
}

/**
 * Start the microphone. `onChunk(samples)` is called with each chunk, `onEnd(message)` where the device goes away.
 * Resolves with `{name, stop}`.
 */
export async function openMicrophone({ deviceId, settings, captureUrl, onChunk, onEnd }) {
  const obstacle = microphoneObstacle();
  if (obstacle) throw new Error(obstacle);
  const { sample_rate, chunk_samples, silent_device_s } = settings;
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  if (deviceId) audio.deviceId = { exact: deviceId };
  let [stream, context] = [];
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
    context = new AudioContext(); // at the rate of the device: browsers resample coarsely
    await context.audioWorklet.addModule(captureUrl);
    const numSamples = Math.round((chunk_samples * context.sampleRate) / sample_rate);
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, processorOptions: { numSamples } });
    const resampler = new Resampler(context.sampleRate, sample_rate);
    const [track] = stream.getAudioTracks();
    const name = track.label || "microphone";
    const gone = () => onEnd(`${name} gives no sound any more. Plug it in again and press Start; or choose another one.`);
    let lastTime = performance.now();
    const watch = setInterval(() => performance.now() - lastTime > 1000 * silent_device_s && gone(), 500);
    const stop = () => {
      clearInterval(watch);
      capture.port.onmessage = track.onended = null;
      track.stop();
      context.close();
    };
    track.onended = gone;
    capture.port.onmessage = ({ data }) => {
      lastTime = performance.now();
      onChunk(resampler.convert(data));
    };
    context.createMediaStreamSource(stream).connect(capture);
    await context.resume();
    lastTime = performance.now();
    return { name, stop };
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    context?.close();
    throw new Error(REASONS[error.name] ?? `The microphone cannot be opened: ${error.message}`);
  }
}

/** Sample rate that a WAV or FLAC file states in its usual place. */
function statedRate(bytes) {
  const view = new DataView(bytes);
  const rate = view.getUint32(0) === 0x664c6143 ? view.getUint32(18) >>> 12 : view.getUint32(24, true);
  return rate >= 8000 && rate <= 96000 ? rate : USUAL_RATE;
}

/** An audio file, decoded at its own sample rate where that is known. */
async function decode(file) {
  const bytes = await file.arrayBuffer();
  try {
    return await new OfflineAudioContext(1, 1, statedRate(bytes)).decodeAudioData(bytes);
  } catch {
    throw new Error(`${file.name} must be an audio file (WAV, FLAC, MP3, OGG) that is whole. Received: ${file.type || "an unknown type"}, ${file.size} bytes.`);
  }
}

/** Play a file, and give its chunks at the speed of playback. Resolves with `{name, stop}`; `onEnd()` at its end. */
export async function playFile({ file, settings, onChunk, onEnd }) {
  const { sample_rate, chunk_samples } = settings;
  const buffer = await decode(file);
  const samples = toMono(Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel)));
  const context = new AudioContext();
  const player = new AudioBufferSourceNode(context, { buffer });
  player.connect(context.destination);
  player.start();
  const rate = buffer.sampleRate;
  const resampler = new Resampler(rate, sample_rate);
  const numSamples = Math.round((chunk_samples * rate) / sample_rate);
  let position = 0;
  let startTime = performance.now();
  const feed = () => {
    const numDue = ((performance.now() - startTime) / 1000) * rate;
    const numLate = numDue - position - rate; // the page slept: the file waits, a microphone would not
    if (numLate > 0) startTime += (1000 * numLate) / rate;
    while (position < samples.length && Math.min(position + numSamples, samples.length) <= numDue) {
      onChunk(resampler.convert(samples.slice(position, (position += numSamples))));
    }
    if (position < samples.length) return;
    clearInterval(timer);
    onEnd();
  };
  const timer = setInterval(feed, 20);
  const stop = () => {
    clearInterval(timer);
    context.close();
  };
  return { name: file.name, stop };
}
