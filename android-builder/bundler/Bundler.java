import com.android.bundle.Commands.ApkDescription;
import com.android.bundle.Commands.BuildApksResult;
import com.android.bundle.Commands.Variant;
import com.android.bundle.Devices.DeviceSpec;
import com.android.tools.build.bundletool.androidtools.Aapt2Command;
import com.android.tools.build.bundletool.commands.BuildApksCommand;
import com.android.tools.build.bundletool.commands.BuildApksCommand.ApkBuildMode;
import com.android.tools.build.bundletool.commands.BuildBundleCommand;
import com.android.tools.build.bundletool.commands.ValidateBundleCommand;
import com.android.tools.build.bundletool.device.AssetModuleSizeAggregator;
import com.android.tools.build.bundletool.device.VariantMatcher;
import com.android.tools.build.bundletool.device.VariantTotalSizeAggregator;
import com.android.tools.build.bundletool.model.ConfigurationSizes;
import com.android.tools.build.bundletool.model.GetSizeRequest;
import com.android.tools.build.bundletool.model.exceptions.BundleToolException;
import com.android.tools.build.bundletool.model.utils.ApkSizeUtils;
import com.android.tools.build.bundletool.model.utils.ResultUtils;
import com.android.tools.build.bundletool.model.version.Version;
import com.google.common.collect.ImmutableList;
import com.google.common.collect.ImmutableMap;
import com.google.common.collect.ImmutableSet;
import com.google.gson.JsonObject;
import com.google.protobuf.util.JsonFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Several of bundletool's commands in one process, which then reads each bundle and compresses each APK once.
 *
 * <p>{@code build CONFIG TARGET MODULE...} makes a bundle of module zips. {@code examine BUNDLE AAPT2 FOLDER MODULES
 * DEVICE...} writes JSON: {@code refused} with the reason, or else {@code sizes}, the compressed bytes that each phone
 * (a JSON file of bundletool's DeviceSpec) downloads, by the file's name and module, and under {@code ""} in all; and
 * the one APK for all phones is in the folder. MODULES are joined by commas.
 */
final class Bundler {
    public static void main(String[] arguments) throws IOException {
        List<String> rest = List.of(arguments).subList(1, arguments.length);
        try {
            if (arguments[0].equals("build")) {
                build(rest);
            } else {
                System.out.println(examine(rest));
            }
        } catch (BundleToolException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
        // bundletool leaves threads behind.
        System.exit(0);
    }

    private static void build(List<String> arguments) {
        ImmutableList<Path> modules =
            arguments.stream().skip(2).map(Path::of).collect(ImmutableList.toImmutableList());
        BuildBundleCommand.builder()
            .setBundleConfig(Path.of(arguments.get(0)))
            .setOutputPath(Path.of(arguments.get(1)))
            .setModulesPaths(modules)
            .build()
            .execute();
    }

    private static JsonObject examine(List<String> arguments) throws IOException {
        Path bundle = Path.of(arguments.get(0));
        Path folder = Path.of(arguments.get(2));
        Aapt2Command aapt2 = Aapt2Command.createFromExecutablePath(Path.of(arguments.get(1)));
        JsonObject answer = new JsonObject();
        try {
            ValidateBundleCommand.builder().setBundlePath(bundle).setPrintOutput(false).build().execute();
        } catch (BundleToolException error) {
            answer.addProperty("refused", error.getMessage());
            return answer;
        }
        JsonObject sizes = new JsonObject();
        Sizes counted = new Sizes();
        for (String device : arguments.subList(4, arguments.size())) {
            DeviceSpec.Builder spec = DeviceSpec.newBuilder();
            JsonFormat.parser().merge(Files.readString(Path.of(device)), spec);
            Path apks = folder.resolve("device.apks");
            apks(bundle, aapt2, apks).setDeviceSpec(spec.build()).build().execute();
            JsonObject modules = new JsonObject();
            BuildApksResult made = ResultUtils.readTableOfContents(apks);
            modules.addProperty("", counted.of(apks, made, spec.build(), Optional.empty()));
            for (String module : arguments.get(3).split(",")) {
                modules.addProperty(module, counted.of(apks, made, spec.build(), Optional.of(ImmutableSet.of(module))));
            }
            sizes.add(Path.of(device).getFileName().toString().replace(".json", ""), modules);
        }
        answer.add("sizes", sizes);
        apks(bundle, aapt2, folder.resolve("universal.apks")).setApkBuildMode(ApkBuildMode.UNIVERSAL).build().execute();
        return answer;
    }

    private static BuildApksCommand.Builder apks(Path bundle, Aapt2Command aapt2, Path target) {
        return BuildApksCommand.builder()
            .setBundlePath(bundle)
            .setAapt2Command(aapt2)
            .setOutputFile(target)
            .setOverwriteOutput(true);
    }
}

/** What phones download; an APK that several of them get is compressed once. */
final class Sizes {
    private record Apk(String path, long size) {}

    private final java.util.Map<Apk, Long> known = new java.util.HashMap<>();

    /** The larger number of bundletool's `get-size total`. */
    long of(Path apks, BuildApksResult made, DeviceSpec device, Optional<ImmutableSet<String>> modules)
            throws IOException {
        GetSizeRequest request = new Request(device, modules);
        long largest = 0;
        for (Variant variant : new VariantMatcher(device, false).getAllMatchingVariants(made)) {
            List<String> paths = new ArrayList<>();
            variant.getApkSetList().forEach(set -> add(set.getApkDescriptionList(), paths));
            made.getAssetSliceSetList().forEach(set -> add(set.getApkDescriptionList(), paths));
            ImmutableMap<String, Long> compressed = compressed(apks, paths);
            Version version = Version.of(made.getBundletool().getVersion());
            ConfigurationSizes code = new VariantTotalSizeAggregator(compressed, version, variant, request).getSize();
            ConfigurationSizes assets =
                new AssetModuleSizeAggregator(
                        made.getAssetSliceSetList(), variant.getTargeting(), compressed, request)
                    .getSize();
            long size = Stream.of(code, assets)
                .mapToLong(one -> one.getMaxSizeConfigurationMap().values().stream().mapToLong(Long::longValue).max().orElse(0))
                .sum();
            largest = Math.max(largest, size);
        }
        return largest;
    }

    private static void add(List<ApkDescription> apks, List<String> paths) {
        apks.forEach(apk -> paths.add(apk.getPath()));
    }

    private ImmutableMap<String, Long> compressed(Path archive, List<String> paths) throws IOException {
        ImmutableMap.Builder<String, Long> found = ImmutableMap.builder();
        try (java.util.zip.ZipFile opened = new java.util.zip.ZipFile(archive.toFile())) {
            for (String path : ImmutableSet.copyOf(paths)) {
                Apk apk = new Apk(path, opened.getEntry(path).getCrc());
                if (!known.containsKey(apk)) {
                    known.put(apk, ApkSizeUtils.getCompressedSizeByApkPaths(ImmutableList.of(path), archive).get(path));
                }
                found.put(path, known.get(apk));
            }
        }
        return found.build();
    }

    private record Request(DeviceSpec device, Optional<ImmutableSet<String>> modules) implements GetSizeRequest {
        @Override
        public DeviceSpec getDeviceSpec() {
            return device;
        }

        @Override
        public Optional<ImmutableSet<String>> getModules() {
            return modules;
        }

        @Override
        public ImmutableSet<Dimension> getDimensions() {
            return ImmutableSet.of();
        }

        @Override
        public boolean getInstant() {
            return false;
        }
    }
}
