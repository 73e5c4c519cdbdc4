import { backendOptions, type Overrides, resolve, text, type Values } from '@tb/command-line';

export const doctorOptions = {
  device: { ...backendOptions.device, description: 'fail if no backend can use this device: cpu, gpu' },
  python: text('Python whose TensorFlow is checked', {
    placeholder: 'command',
    defaultText: 'the linked one, else python3',
  }),
};

export type DoctorValues = Values<typeof doctorOptions>;

export const resolveDoctor = (flags: Overrides<typeof doctorOptions>): DoctorValues => resolve(doctorOptions, flags);
